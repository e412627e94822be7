"""A server that a backend is on: how far away it is, and what time it is there."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from ropeway.cli.checks.check import Check
from ropeway.words import duration

_TIMES = 20
_SLOW = 0.02
_OFF = 5.0


def timed(ask: Callable[[], object]) -> list[float]:
    """Ask many times, and return how long each took."""
    taken = []
    for _ in range(_TIMES):
        start = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - start)
    return taken


def clocked(now: Callable[[], float]) -> list[tuple[float, float, float]]:
    """Ask a server many times for its time; return that, and the time here before and after."""
    times = []
    for _ in range(_TIMES):
        before = time.time()
        there = now()
        times.append((before, there, time.time()))
    return times


def judged_times(times: list[tuple[float, float, float]]) -> tuple[Check, Check]:
    """Judge how far away a server is, and how far off its clock."""
    # The quickest answer bounds the error of what it says the closest.
    before, there, after = min(times, key=lambda each: each[2] - each[0])
    trips = [after - before for before, _, after in times]
    return judged_trip(trips), judged_clock(there - (before + after) / 2)


def judged_trip(taken: list[float]) -> Check:
    """Judge how long answers take."""
    usual, worst = statistics.median(taken), max(taken)
    fact = f"{_milliseconds(usual)} there and back, at most {_milliseconds(worst)}"
    if usual > _SLOW:
        remedy = "a send takes that long: keep programs and server in one place"
        return Check("distance", "warn", fact, remedy)
    return Check("distance", "ok", fact)


def judged_clock(offset: float) -> Check:
    """Judge how far a server's clock is ahead of this machine's."""
    fact = f"the server's clock is {duration(abs(offset))} {'ahead' if offset > 0 else 'behind'}"
    if abs(offset) > _OFF:
        remedy = "leases do not mind; dates do (at=, expires=): set both by NTP"
        return Check("clock", "warn", fact, remedy)
    return Check("clock", "ok", fact)


def change(taken: list[float]) -> Check:
    """Say how long a change takes until it is as durable as this server makes it."""
    return Check("change", "ok", f"{_milliseconds(statistics.median(taken))} until it is made")


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
