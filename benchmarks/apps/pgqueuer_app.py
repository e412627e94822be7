"""The tasks and verbs for pgqueuer; `Any`, for it is not installed where this is checked."""

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.apps.served import url, versions
from benchmarks.recorder import hit

_asyncpg: Any = importlib.import_module("asyncpg")
_pgqueuer: Any = importlib.import_module("pgqueuer")
_db: Any = importlib.import_module("pgqueuer.db")
_queries: Any = importlib.import_module("pgqueuer.queries")
_CHUNK = 1_000


class _State:
    connection: Any = None
    queries: Any = None


@asynccontextmanager
async def main() -> AsyncIterator[Any]:
    """What its command line runs."""
    connection = await _asyncpg.connect(url)
    queue = _pgqueuer.PgQueuer(_db.AsyncpgDriver(connection))

    async def add(job: Any) -> None:
        json.loads(job.payload)  # it leaves arguments to its user
        hit()

    queue.entrypoint("add")(add)
    yield queue
    await connection.close()


async def prepare() -> None:
    await _State.queries.install()


async def start() -> None:
    _State.connection = await _asyncpg.connect(url)
    _State.queries = _queries.Queries(_db.AsyncpgDriver(_State.connection))


async def stop() -> None:
    await _State.connection.close()


async def send(number: int) -> Any:
    return await _State.queries.enqueue("add", _payload(number))


async def send_many(count: int) -> None:
    for first in range(0, count, _CHUNK):
        payloads = [_payload(i) for i in range(first, min(count, first + _CHUNK))]
        few = len(payloads)
        await _State.queries.enqueue(["add"] * few, payloads, [0] * few)


def _payload(number: int) -> bytes:
    return json.dumps([number, number]).encode()


def facts() -> dict[str, Any]:
    return versions("pgqueuer", "asyncpg")
