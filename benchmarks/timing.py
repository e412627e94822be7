"""How clients time what they do: the same for verbs that are coroutines and for those that are not."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.processes import written
from benchmarks.recorder import FOLDER, Records

Answer = dict[str, Any]
_GAP = (0.005, 0.025)
WARM_UP = 5
"""Of the calls that are timed one by one, the first that are not counted."""


def gap() -> float:
    """Seconds to wait before the next call, in which everything falls asleep."""
    return random.uniform(*_GAP)


class Timed:
    """What doing something `count` times costs, from now on."""

    def __init__(self, count: int) -> None:
        self._count, self._here = count, [os.getpid()]
        self._written, self._cpu = written(self._here), time.process_time()
        self._start = time.perf_counter()

    def answer(self) -> Answer:
        took, cpu = time.perf_counter() - self._start, time.process_time() - self._cpu
        return {
            "count": self._count,
            "us": took / self._count * 1e6,
            "cpu_us": cpu / self._count * 1e6,
            "per_s": self._count / took,
            "bytes": (written(self._here) - self._written) / self._count,
        }


def timed(count: int, work: Callable[[], Any]) -> Answer:
    measured = Timed(count)
    work()
    return measured.answer()


class Watched:
    """The time from before a send to the begin of its run, one send at a time."""

    LOOK = 0.0005
    """Seconds between two looks: they delay the next send, and no figure."""

    def __init__(self) -> None:
        self._records = Records(Path(os.environ[FOLDER]))
        self._runs, self._at = 0, 0.0
        self._took: list[float] = []

    def sends(self) -> None:
        """Begin: the next thing that is done is a send."""
        self._runs, self._at = self._records.poll(), time.time()

    def has_started(self) -> bool:
        """Whether it runs; if so, its time is taken."""
        if self._records.poll() == self._runs:
            return False
        self._took.append(self._records.stamps[-1] - self._at)
        return True

    def answer(self) -> Answer:
        return {"seconds": self._took[WARM_UP:]}
