"""The tasks and verbs for Taskiq on Redis or RabbitMQ; `Any`, for it is not installed where this is checked."""

from __future__ import annotations

import asyncio
import importlib
import os
from typing import Any

from benchmarks.apps.served import TTL, kept, store, url, versions
from benchmarks.apps.verbs import TASKIQ_STREAM
from benchmarks.recorder import hit

_redis: Any = importlib.import_module("taskiq_redis")
_AT_ONCE = 200


def _made() -> Any:
    if url.startswith("amqp"):
        # Its default of 10 ahead is a slow one.
        made: Any = importlib.import_module("taskiq_aio_pika").AioPikaBroker(url, qos=_AT_ONCE)
    elif os.environ.get(TASKIQ_STREAM) == "1":
        made = _redis.RedisStreamBroker(url, consumer_id="0")
    else:
        made = _redis.ListQueueBroker(url)
    if kept:
        made = made.with_result_backend(_redis.RedisAsyncResultBackend(store, result_ex_time=TTL))
    return made


broker: Any = _made()


async def _add(x: int, y: int) -> int:
    hit()
    return x + y


_task: Any = broker.task(task_name="add")(_add)


async def start() -> None:
    await broker.startup()


async def stop() -> None:
    await broker.shutdown()


async def send(number: int) -> Any:
    return await _task.kiq(number, number)


async def send_many(count: int) -> None:
    for first in range(0, count, _AT_ONCE):
        await asyncio.gather(*map(send, range(first, min(count, first + _AT_ONCE))))


async def round_trip(number: int) -> int:
    job = await send(number)
    return int((await job.wait_result(check_interval=0.001, timeout=30)).return_value)


def facts() -> dict[str, Any]:
    return versions("taskiq", "taskiq-aio-pika" if url.startswith("amqp") else "taskiq-redis")
