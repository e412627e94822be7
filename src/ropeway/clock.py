"""Time as a value that is handed in: the system's clocks, and one that a test moves by hand."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What a backend that keeps time by itself reads."""

    def now(self) -> float:
        """Seconds since the Unix epoch, UTC: what people mean by a date."""
        ...

    def boot(self) -> float:
        """Seconds that only grow, unaffected by changes of the date: what leases are measured in."""
        ...


class SystemClock:
    """The machine's clocks; the second one also counts while the machine is suspended."""

    def now(self) -> float:
        return time.time()

    def boot(self) -> float:
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class ManualClock:
    """A clock that stands still until `advance` moves it."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._boot = 1_000.0

    def now(self) -> float:
        return self._now

    def boot(self) -> float:
        return self._boot

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self._now += seconds
        self._boot += seconds

    def step_date(self, seconds: float) -> None:
        """Move the date alone, as an administrator or a time server would."""
        self._now += seconds
