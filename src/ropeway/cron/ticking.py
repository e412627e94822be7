"""What becomes of the instants of a schedule that have come: a pure decision."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal

from msgspec import Struct

from ropeway.cron.timetable import Timetable, due_of, instants, latest, next_after

MOST_AT_ONCE = 200
"""Instants that are decided in one step; what is more is left to the next one."""

_COUNTED = 1_000
"""Missed instants up to which they are counted; of more it is told that they are more."""

Open = Literal["none", "waiting", "running"]
"""How far the last job of a schedule is: ended or never sent, not begun, or in a run."""

Decision = Literal["fired", "skipped", "missed", "by_hand", "backfilled"]


class Decided(Struct, frozen=True, kw_only=True):
    """What becomes of one instant, or of `count` that were missed: from `first` to `instant`.

    Not `whole`: at least so many. `late` are the seconds that it is decided after it was due.
    """

    instant: float
    decision: Decision
    late: float = 0.0
    first: float | None = None
    count: int = 1
    whole: bool = True
    why: str = ""


class Step(Struct, frozen=True, kw_only=True):
    """All that is decided at once: nothing up to `cursor` is looked at again.

    `next` is the instant after that, None if there is none. With `cancel` the job before is to be
    cancelled.
    """

    decided: tuple[Decided, ...]
    cursor: float
    next: float | None
    runs: int
    cancel: bool = False


def decide(table: Timetable, name: str, upcoming: float, runs: int, now: float, last: Open) -> Step:
    """Decide about the instants from `upcoming` on that have come by `now`.

    `runs` says how often it has fired, and `last` how far the job of the last time is.
    """
    cutoff = now - table.grace - table.jitter
    missed = _missed(table, upcoming, cutoff) if upcoming < cutoff else None
    begin = upcoming if missed is None else max(upcoming, missed.instant)
    fresh = list(_ripe(table, name, begin, now, inclusive=missed is None))
    fresh = fresh[:MOST_AT_ONCE]
    made_up = _made_up(table, upcoming, cutoff, covered=bool(fresh)) if missed else []
    wanted = [*made_up, *fresh]
    if not wanted and missed is None:  # its time comes in the next microsecond
        return Step(decided=(), cursor=math.nextafter(upcoming, 0.0), next=upcoming, runs=runs)
    left = len(wanted) if table.max_runs is None else max(0, table.max_runs - runs)
    decided = [] if missed is None else _of_missed(missed, made_up[:left], now)
    fired, cancel = _overlapping(table, name, wanted[:left], now, last)
    number = sum(each.decision == "fired" for each in fired)
    cursor = max([upcoming if missed is None else missed.instant, *wanted[:left]])
    over = table.max_runs is not None and runs + number >= table.max_runs
    return Step(
        decided=(*decided, *fired),
        cursor=cursor,
        next=None if over else next_after(table, cursor),
        runs=runs + number,
        cancel=cancel,
    )


def _missed(table: Timetable, upcoming: float, cutoff: float) -> Decided:
    """Return which instants are too late: the last, and how many."""
    number = sum(1 for _ in _until(table, upcoming, cutoff, _COUNTED))
    # Newer rules of a time zone may know none: what was to come was fixed by the older ones.
    last = max([upcoming, *latest(table, upcoming, cutoff, 1)])
    return Decided(
        instant=last, decision="missed", first=upcoming, count=number, whole=number < _COUNTED
    )


def _made_up(table: Timetable, upcoming: float, cutoff: float, *, covered: bool) -> list[float]:
    """Return the missed instants that are fired all the same."""
    if table.missed == "fire_all":
        return latest(table, upcoming, cutoff, table.missed_limit)
    if table.missed == "fire_once" and not covered:
        return latest(table, upcoming, cutoff, 1)
    return []


def _of_missed(missed: Decided, made_up: Sequence[float], now: float) -> list[Decided]:
    """Return what to tell of missed instants beside those that are made up for."""
    left = missed.count - len(made_up)
    if left <= 0 and missed.whole:
        return []
    why = "made up for by what was fired then" if made_up else "too late"
    return [
        Decided(
            instant=missed.instant,
            decision="missed",
            late=now - missed.instant,
            first=missed.first,
            count=left,
            whole=missed.whole,
            why=why,
        )
    ]


def _overlapping(
    table: Timetable, name: str, wanted: Sequence[float], now: float, last: Open
) -> tuple[list[Decided], bool]:
    """Return what is fired and what is left out beside a job that is still there."""
    found: list[Decided] = []
    for number, instant in enumerate(wanted):
        why = ""
        if table.overlap == "skip" and last != "none":
            why = "the job before has not ended"
        elif table.overlap == "queue_one" and last == "waiting":
            why = "one waits already"
        elif table.overlap == "cancel_running" and number < len(wanted) - 1:
            why = "a later one takes its place"
        else:
            last = "waiting"
        late = now - due_of(table, name, instant)
        decision: Decision = "skipped" if why else "fired"
        found.append(Decided(instant=instant, decision=decision, late=late, why=why))
    return found, table.overlap == "cancel_running" and bool(wanted)


def _ripe(
    table: Timetable, name: str, begin: float, now: float, *, inclusive: bool
) -> Iterator[float]:
    """Yield the instants from `begin`, or after it, whose time has come, in order."""
    if inclusive:
        if due_of(table, name, begin) > now:
            return
        yield begin
    for instant in islice(instants(table, begin), MOST_AT_ONCE):
        if due_of(table, name, instant) > now:
            return
        yield instant


def _until(table: Timetable, first: float, until: float, most: int) -> Iterator[float]:
    yield first
    for instant in islice(instants(table, first), most - 1):
        if instant >= until:
            return
        yield instant
