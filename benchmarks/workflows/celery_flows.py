"""The same with Celery's chain and chord; runs with the Python of Celery's environment, as its app too."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any

_celery: Any = importlib.import_module("celery")
app: Any = _celery.Celery(
    "celery_flows", broker=os.environ["PEER_URL"], backend=os.environ["PEER_URL"]
)
app.conf.update(worker_prefetch_multiplier=64, task_acks_late=True)
_PATIENCE = {"timeout": 600, "interval": 0.005}


def _first() -> int:
    return 0


def _step(x: int) -> int:
    return x + 1


def _one(x: int) -> int:
    return x


def _total(xs: list[int]) -> int:
    return sum(xs)


first: Any = app.task(name="first")(_first)
step: Any = app.task(name="step")(_step)
one: Any = app.task(name="one")(_one)
total: Any = app.task(name="total")(_total)


def main(steps: int, items: int) -> None:
    """Run two chains and a chord, and print what each took as JSON, a line each."""
    step.delay(1).get(**_PATIENCE)
    for _ in range(2):
        began = time.perf_counter()
        chain = _celery.chain(first.s(), *(step.s() for _ in range(steps)))
        found = chain.apply_async().get(**_PATIENCE)
        print(json.dumps(["chain", found, time.perf_counter() - began]), flush=True)
    began = time.perf_counter()
    chord = _celery.chord((one.s(each) for each in range(items)), total.s())
    found = chord.apply_async().get(**_PATIENCE)
    print(json.dumps(["chord", found, time.perf_counter() - began]), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
