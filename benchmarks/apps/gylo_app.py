"""The tasks and verbs for gylo; `Any`, for it is not installed where this is checked."""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path
from typing import Any

from benchmarks.apps.served import url, versions
from benchmarks.recorder import hit

_gylo: Any = importlib.import_module("gylo")
_asyncpg: Any = importlib.import_module("asyncpg")
app: Any = _gylo.Gylo()
_CHUNK = 1_000


class _State:
    connection: Any = None


async def add(x: int, y: int) -> None:
    hit()


_task: Any = app.task(add)


async def prepare() -> None:
    command = str(Path(sys.executable).parent / "gylo")
    made = await asyncio.create_subprocess_exec(
        command, "migrate", "--database-url", url, stdout=asyncio.subprocess.DEVNULL
    )
    assert await made.wait() == 0


async def start() -> None:
    _State.connection = await _asyncpg.connect(url)


async def stop() -> None:
    await _State.connection.close()


async def send(number: int) -> Any:
    return await _task.enqueue(_State.connection, number, number)


async def send_many(count: int) -> None:
    for first in range(0, count, _CHUNK):
        numbers = range(first, min(count, first + _CHUNK))
        await _task.enqueue_many(_State.connection, [((i, i), {}) for i in numbers])


def facts() -> dict[str, Any]:
    return versions("gylo", "asyncpg")
