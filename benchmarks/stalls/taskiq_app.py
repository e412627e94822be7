"""Taskiq on a Redis stream: what is not acknowledged in time goes to another worker."""

from __future__ import annotations

import asyncio
import importlib
import sys
from typing import Any

from benchmarks.stalls import witness

_redis: Any = importlib.import_module("taskiq_redis")

broker: Any = _redis.RedisStreamBroker(
    url=witness.broker(), idle_timeout=int(witness.lease() * 1000)
)


async def _block_loop() -> None:
    witness.block_loop()


broker.task(task_name="lock")(witness.hold_lock)
broker.task(task_name="loop")(_block_loop)


async def _send(name: str) -> None:
    await broker.startup()
    await broker.find_task(name).kiq()
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(_send(sys.argv[1]))
