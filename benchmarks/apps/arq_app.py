"""The tasks and verbs for arq; `Any`, for it is not installed where this is checked."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from benchmarks.apps.served import TTL, kept, url, versions
from benchmarks.recorder import hit

_arq: Any = importlib.import_module("arq")
_connections: Any = importlib.import_module("arq.connections")
_uvloop: Any = importlib.import_module("uvloop")
asyncio.set_event_loop_policy(_uvloop.EventLoopPolicy())  # its worker has no option for it
_settings: Any = _connections.RedisSettings.from_dsn(url)
_AT_ONCE = 200


class _State:
    pool: Any = None


async def add(ctx: Any, x: int, y: int) -> int:
    hit()
    return x + y


class WorkerSettings:
    """What its command line reads. By default it looks twice a second, and runs 10 at once."""

    functions = (_arq.func(add, name="add", keep_result=TTL if kept else 0),)
    redis_settings = _settings
    max_jobs = 200
    poll_delay = 0.01
    log_results = False


async def start() -> None:
    _State.pool = await _arq.create_pool(_settings)


async def stop() -> None:
    await _State.pool.aclose()


async def send(number: int) -> Any:
    return await _State.pool.enqueue_job("add", number, number)


async def send_many(count: int) -> None:
    for first in range(0, count, _AT_ONCE):
        await asyncio.gather(*map(send, range(first, min(count, first + _AT_ONCE))))


async def round_trip(number: int) -> int:
    job = await send(number)
    return int(await job.result(timeout=30, poll_delay=0.001))


def facts() -> dict[str, Any]:
    return versions("arq")
