"""The tasks and verbs for streaq; `Any`, for it is not installed where this is checked."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.apps.served import TTL, kept, url, versions
from benchmarks.recorder import hit

_streaq: Any = importlib.import_module("streaq")
worker: Any = _streaq.Worker(redis_url=url, concurrency=100, anyio_kwargs={"use_uvloop": True})
_CHUNK = 1_000


async def _add(x: int, y: int) -> int:
    hit()
    return x + y


_task: Any = worker.task(name="add", ttl=TTL if kept else 0)(_add)


async def start() -> None:
    await worker.__aenter__()


async def stop() -> None:
    await worker.__aexit__(None, None, None)


async def send(number: int) -> Any:
    return await _task.enqueue(number, number)


async def send_many(count: int) -> None:
    for first in range(0, count, _CHUNK):
        numbers = range(first, min(count, first + _CHUNK))
        await worker.enqueue_many([_task.enqueue(i, i) for i in numbers])


async def round_trip(number: int) -> int:
    job = await send(number)
    return int((await job.result(30)).result)


def facts() -> dict[str, Any]:
    return versions("streaq")
