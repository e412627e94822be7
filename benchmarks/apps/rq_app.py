"""The tasks and verbs for RQ; `Any`, for it is not installed where this is checked."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.apps.served import TTL, kept, url, versions
from benchmarks.recorder import hit

_redis: Any = importlib.import_module("redis")
_rq: Any = importlib.import_module("rq")
queue: Any = _rq.Queue(connection=_redis.Redis.from_url(url))
_TASK = "benchmarks.apps.rq_app.add"
_KEEP = TTL if kept else 0
_CHUNK = 1_000


def add(x: int, y: int) -> int:
    hit()
    return x + y


def send(number: int) -> str:
    return str(queue.enqueue(_TASK, number, number, result_ttl=_KEEP).id)


def send_many(count: int) -> list[str]:
    jobs: list[str] = []
    for first in range(0, count, _CHUNK):
        numbers = range(first, min(count, first + _CHUNK))
        calls = [_rq.Queue.prepare_data(_TASK, (i, i), result_ttl=_KEEP) for i in numbers]
        jobs += [job.id for job in queue.enqueue_many(calls)]
    return jobs


def round_trip(number: int) -> int:
    job = queue.enqueue(_TASK, number, number, result_ttl=TTL)
    return int(job.latest_result(timeout=30).return_value)


def facts() -> dict[str, Any]:
    return versions("rq")
