"""The tasks and verbs for Celery on Redis; `Any`, for it is not installed where this is checked."""

from __future__ import annotations

import importlib
import os
from typing import Any

from benchmarks.apps.served import kept, url, versions
from benchmarks.apps.verbs import CELERY_LATE
from benchmarks.recorder import hit

_celery: Any = importlib.import_module("celery")
app: Any = _celery.Celery("bench", broker=url, backend=url if kept else None)
app.conf.update(
    worker_prefetch_multiplier=128,
    task_acks_late=os.environ.get(CELERY_LATE) == "1",
    broker_connection_retry_on_startup=True,
)


def _add(x: int, y: int) -> int:
    hit()
    return x + y


_task: Any = app.task(name="add", ignore_result=not kept)(_add)


def send(number: int) -> str:
    return str(_task.delay(number, number).id)


def send_many(count: int) -> list[str]:
    with app.producer_or_acquire() as producer:
        return [
            str(_task.apply_async((i, i), producer=producer).id) for i in range(count)
        ]  # it has nothing that stores many at once


def round_trip(number: int) -> int:
    return int(_task.delay(number, number).get(timeout=30))


def facts() -> dict[str, Any]:
    return versions("celery")
