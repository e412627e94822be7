"""The tasks and verbs for SAQ on Redis or PostgreSQL; `Any`, for it is not installed here."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from benchmarks.apps.served import TTL, kept, url, versions
from benchmarks.recorder import hit

_saq: Any = importlib.import_module("saq")
_uvloop: Any = importlib.import_module("uvloop")
asyncio.set_event_loop_policy(_uvloop.EventLoopPolicy())  # its worker has no option for it
queue: Any = _saq.Queue.from_url(url)
_AT_ONCE = 200
_KEEP = TTL if kept else -1  # 0 would keep a result for ever


async def add(ctx: Any, *, x: int, y: int) -> int:
    hit()
    return x + y


# One connection to the server for each that waits: of 20 to 1000 the best.
settings = {"queue": queue, "functions": [add], "concurrency": 20}


async def start() -> None:
    await queue.connect()


async def stop() -> None:
    await queue.disconnect()


async def send(number: int) -> Any:
    return await queue.enqueue("add", ttl=_KEEP, x=number, y=number)


async def send_many(count: int) -> None:
    for first in range(0, count, _AT_ONCE):
        await asyncio.gather(*map(send, range(first, min(count, first + _AT_ONCE))))


async def round_trip(number: int) -> int:
    return int(await queue.apply("add", timeout=30, poll_interval=0.005, x=number, y=number))


def facts() -> dict[str, Any]:
    return versions("saq")
