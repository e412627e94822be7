"""The tasks and verbs for ardiq; `Any`, for it is not installed where this is checked."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.apps.served import TTL, url, versions
from benchmarks.recorder import hit

_ardiq: Any = importlib.import_module("ardiq")
app: Any = _ardiq.Ardiq(
    redis_url=url, queue_name="bench", concurrency=100, result_ttl_ms=TTL * 1000
)
_CHUNK = 1_000


async def _add(x: int, y: int) -> int:
    hit()
    return x + y


_task: Any = app.task(name="add")(_add)


async def start() -> None: ...


async def stop() -> None: ...


async def send(number: int) -> Any:
    return await _task.enqueue(number, number)


async def send_many(count: int) -> None:
    for first in range(0, count, _CHUNK):
        numbers = range(first, min(count, first + _CHUNK))
        await app.enqueue_many([_task.prepare(i, i) for i in numbers])


async def round_trip(number: int) -> int:
    job = await send(number)
    return int((await job.result(timeout=30)).value)


def facts() -> dict[str, Any]:
    return versions("ardiq")
