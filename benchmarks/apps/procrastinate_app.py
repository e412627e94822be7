"""The tasks and verbs for Procrastinate; `Any`, for it is not installed where this is checked."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.apps.served import url, versions
from benchmarks.recorder import hit

_procrastinate: Any = importlib.import_module("procrastinate")
app: Any = _procrastinate.App(connector=_procrastinate.PsycopgConnector(conninfo=url))
_CHUNK = 1_000


async def _add(x: int, y: int) -> None:
    hit()


_task: Any = app.task(name="add")(_add)


async def prepare() -> None:
    await app.schema_manager.apply_schema_async()


async def start() -> None:
    await app.open_async()


async def stop() -> None:
    await app.close_async()


async def send(number: int) -> Any:
    return await _task.defer_async(x=number, y=number)


async def send_many(count: int) -> None:
    for first in range(0, count, _CHUNK):
        numbers = range(first, min(count, first + _CHUNK))
        await _task.batch_defer_async(*[{"x": i, "y": i} for i in numbers])


def facts() -> dict[str, Any]:
    return versions("procrastinate")
