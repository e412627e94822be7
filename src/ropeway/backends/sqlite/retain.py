"""What is removed, and what ends by itself: the two limits of a record, and `expires`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from ropeway.backends.sqlite import records
from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.ending import waiting_ended
from ropeway.backends.sqlite.ops import Writing
from ropeway.decide import NOT_STARTED, Keep
from ropeway.envelope import NUMBERS, error_of
from ropeway.message import job_key, late_key
from ropeway.states import State
from ropeway.transition import Put

_SELDOM = 300
"""How many times as long as a count took nothing is counted after it."""

_FINAL = [state for state in State if state.final]
Execute = Callable[..., Any]
Bounds = Mapping[State, float]
"""Of each final state, up to which `purge` its records need not be kept."""


class Excess:
    """Up to which `purge` the records of each state are too many.

    A value, not a number of rows: several workers that remove up to it do not remove more. To find
    it takes 30 ms when a million records are kept, so that is done seldom, and not at all while
    nothing changes; a value of some seconds ago keeps a few too many.
    """

    def __init__(self) -> None:
        self._found: Bounds = {}
        self._asked = (-1, 0)
        self._next = 0.0

    def look(self, execute: Execute, newest: int) -> Bounds:
        """Return the bounds, found anew if it is worth it."""
        asked, start = (execute("pragma data_version").get, newest), time.monotonic()
        if asked[1] != self._asked[1] or (asked != self._asked and start >= self._next):
            self._found = {state: _purge_of_too_many(execute, state, newest) for state in _FINAL}
            self._asked = asked
            self._next = start + _SELDOM * (time.monotonic() - start)
        return self._found


def _purge_of_too_many(execute: Execute, state: State, newest: int) -> float:
    kept = execute(sql.PURGE_OF_NEWEST, (NUMBERS[state], newest - 1)).get
    return -math.inf if kept is None else math.nextafter(kept, -math.inf)


def bounds(execute: Execute, excess: Excess, newest: int, now: float) -> Bounds:
    """Find up to which `purge` records are to be removed, of the states that have any."""
    found: dict[State, float] = {}
    too_many = excess.look(execute, newest)
    for state in _FINAL:
        first = execute(sql.EARLIEST_PURGE, (NUMBERS[state],)).get
        until = max(now, too_many[state])
        if first is not None and first <= until:
            found[state] = until
    return found


def any_flagged(execute: Execute, boot: float) -> bool:
    """Whether something is to be cancelled whose lease is over."""
    first = execute(sql.EARLIEST_FLAGGED).get
    return first is not None and first <= boot


def any_late(execute: Execute, now: float) -> bool:
    """Whether something waits past its `expires`."""
    first = execute(sql.EARLIEST_EXPIRES).get
    return first is not None and first <= now


def remove(until: Bounds, limit: int, writing: Writing) -> int:
    """Remove at most `limit` records up to their bounds; return how many."""
    removed = 0
    for state, purge in until.items():
        if removed < limit:
            writing.execute(sql.PRUNE, (NUMBERS[state], purge, limit - removed))
            removed += writing.connection.changes()
    return removed


def expire(keep: Keep, limit: int, writing: Writing) -> int:
    """End at most `limit` jobs that wait past their `expires`; return how many."""
    now = writing.clock.now()
    wanted = (error_of(NOT_STARTED), now, now + keep.failure, now, limit)
    ended = writing.execute(sql.EXPIRE, wanted).fetchall()
    for job_id, *what in ended:
        writing.changed.add(job_key(job_id))
        waiting_ended(writing, *what)
        if what[1] in keep.noted:
            records.put(writing, Put(late_key(job_id), b""))
    return len(ended)
