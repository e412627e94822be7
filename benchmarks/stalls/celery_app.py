"""Celery on a Redis server: acknowledges late, as those do that want nothing lost."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from benchmarks.stalls import witness

app: Any = importlib.import_module("celery").Celery("stalls", broker=witness.broker())
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": witness.lease()},
)


app.task(name="lock", ignore_result=True)(witness.hold_lock)


if __name__ == "__main__":
    app.send_task(sys.argv[1])
