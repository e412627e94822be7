"""Timetables: cron, interval, date or list of dates, and the instants that each names."""

from __future__ import annotations

import bisect
import hashlib
import math
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Literal

from msgspec import Struct

from ropeway.cron.expression import cron_of
from ropeway.cron.zones import next_instant, zone_of
from ropeway.errors import BadSchedule

Missed = Literal["fire_once", "skip", "fire_all"]
Overlap = Literal["allow", "skip", "queue_one", "cancel_running"]
MISSED: tuple[Missed, ...] = ("fire_once", "skip", "fire_all")
OVERLAP: tuple[Overlap, ...] = ("allow", "skip", "queue_one", "cancel_running")

SHORTEST, LONGEST = 1.0, 10 * 366 * 86_400.0
"""Seconds that an interval takes at least and at most."""

MOST_DATES, MOST_MISSED = 1_000, 1_000
LAST_DATE = 32_503_680_000.0
"""The year 3000: what is later than that is a slip."""


class Timetable(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a schedule is due, and what becomes of instants that it could not keep.

    One of `cron` (with `seconds`), `every` (seconds) and `at` (instants) is given. Instants are
    seconds since the Unix epoch. From `start` to `end`, both with them, it is due at most
    `max_runs` times, each up to `jitter` seconds later. An instant that is `grace` seconds late is
    `missed`: the latest one is made up for, none, or the latest `missed_limit`.
    """

    cron: str | None = None
    seconds: str = ""
    every: float | None = None
    at: tuple[float, ...] = ()
    timezone: str = "UTC"
    start: float | None = None
    end: float | None = None
    max_runs: int | None = None
    jitter: float = 0.0
    missed: Missed = "fire_once"
    missed_limit: int = 100
    grace: float = 30.0
    overlap: Overlap = "allow"
    history: float = 604_800.0


def checked(table: Timetable) -> Timetable:
    """Return a timetable that can be; raises `BadSchedule` that says what cannot, and why."""
    given = [table.cron is not None, table.every is not None, bool(table.at)]
    if sum(given) != 1:
        raise BadSchedule(
            "a schedule is a cron expression, an interval or dates: one of them",
            hint='write "0 2 * * *", every="90s" or at=datetime(...)',
        )
    zone_of(table.timezone)
    if table.cron is not None:
        cron_of(table.cron, table.seconds)
    elif table.seconds:
        raise BadSchedule("seconds are for a cron expression, and there is none")
    if table.every is not None and not SHORTEST <= table.every <= LONGEST:
        raise BadSchedule(
            f"every={table.every:g} s is not from {SHORTEST:g} s to ten years",
            hint='write every="90s"',
        )
    _check_dates(table)
    _check_numbers(table)
    return table


def _check_dates(table: Timetable) -> None:
    if len(table.at) > MOST_DATES:
        raise BadSchedule(f"{len(table.at):,} dates are more than {MOST_DATES:,}")
    dates = [*table.at, *(each for each in (table.start, table.end) if each is not None)]
    if not all(0.0 <= each <= LAST_DATE for each in dates):
        raise BadSchedule("a date is not from 1970 to the year 3000")
    if table.start is not None and table.end is not None and table.end < table.start:
        raise BadSchedule("it ends before it starts", hint="make end the later one")


def _check_numbers(table: Timetable) -> None:
    if table.missed not in MISSED:
        raise BadSchedule(f"missed={table.missed!r} is not one of {', '.join(MISSED)}")
    if table.overlap not in OVERLAP:
        raise BadSchedule(f"overlap={table.overlap!r} is not one of {', '.join(OVERLAP)}")
    for name, value, most in (
        ("max_runs", table.max_runs, sys.maxsize),
        ("missed_limit", table.missed_limit, MOST_MISSED),
    ):
        if value is not None and (isinstance(value, bool) or not 1 <= value <= most):
            raise BadSchedule(f"{name}={value!r} is not a number from 1 to {most:,}")
    for name, length in (
        ("jitter", table.jitter),
        ("grace", table.grace),
        ("history", table.history),
    ):
        if not 0.0 <= length <= LONGEST:
            raise BadSchedule(f"{name}={length:g} s is not from 0 to ten years")


def next_after(table: Timetable, after: float) -> float | None:
    """Return the first instant of a timetable after another, or None if there is none any more."""
    if table.start is not None:
        after = max(after, math.nextafter(table.start, 0.0))
    found = _next(table, after)
    if found is None or (table.end is not None and found > table.end) or found > LAST_DATE:
        return None
    return found


def instants(table: Timetable, after: float) -> Iterator[float]:
    """Yield the instants of a timetable after another, in order."""
    found = next_after(table, after)
    while found is not None:
        yield found
        found = next_after(table, found)


def latest(table: Timetable, since: float, until: float, most: int) -> list[float]:
    """Return the last `most` instants from `since` and before `until`, however many there are.

    It looks back so far that it finds enough and not many more, so that a long time costs no more
    than a short one.
    """
    few, many, window = 0.0, math.inf, 60.0
    while True:
        begin = max(since, until - window)
        found = list(_before(table, math.nextafter(begin, 0.0), until, 4 * most))
        if len(found) < most and begin > since:
            few = window
        elif len(found) == 4 * most and window > SHORTEST:
            many = window
        else:
            return found[-most:]
        window = window * 4 if many == math.inf else (few + many) / 2


def _before(table: Timetable, after: float, until: float, most: int) -> Iterator[float]:
    for found in islice(instants(table, after), most):
        if found >= until:
            return
        yield found


def due_of(table: Timetable, name: str, instant: float) -> float:
    """Return when an instant is to be kept: later by what is always its part of the jitter."""
    if not table.jitter:
        return instant
    told = hashlib.blake2b(f"{name}/{instant!r}".encode(), digest_size=4).digest()
    return instant + table.jitter * int.from_bytes(told, "big") / 2**32


def _next(table: Timetable, after: float) -> float | None:
    if table.cron is not None:
        return next_instant(cron_of(table.cron, table.seconds), zone_of(table.timezone), after)
    if table.every is not None:
        # From the start, else from the epoch: the same instants whoever counts them.
        anchor, every = table.start or 0.0, table.every
        steps = math.floor((after - anchor) / every) + 1
        found = anchor + max(0, steps) * every
        return found if found > after else anchor + (steps + 1) * every
    place = bisect.bisect_right(table.at, after)
    return table.at[place] if place < len(table.at) else None


def iso(instant: float) -> str:
    """Write an instant in ISO 8601, UTC, as exactly as it is."""
    return datetime.fromtimestamp(instant, UTC).isoformat().replace("+00:00", "Z")
