"""What is removed, and what ends by itself: the two limits of a record, and `expires`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from ropeway.backends.postgres.sessions import Connection
from ropeway.backends.postgres.statements import SQL
from ropeway.envelope import NUMBERS
from ropeway.states import State

Bounds = Mapping[int, float]
"""Of each final state, by its number, up to which `purge` its records need not be kept."""

_FINAL = [NUMBERS[state] for state in State if state.final]
_SELDOM = 300
"""How many times as long as a count took nothing is counted after it."""


class Excess:
    """Up to which `purge` the records of each state are too many.

    A value, not a number of rows: several workers that remove up to it do not remove more. To find
    it takes a while when a million records are kept, so that is done seldom; a value of some seconds
    ago keeps a few too many.
    """

    def __init__(self) -> None:
        self._found: Bounds = {}
        self._newest: int | None = None
        self._next = 0.0

    async def look(self, connection: Connection, newest: int) -> Bounds:
        """Return the bounds, found anew if it is worth it."""
        start = time.monotonic()
        if newest != self._newest or start >= self._next:
            self._found = {state: await _too_many(connection, state, newest) for state in _FINAL}
            self._newest = newest
            self._next = start + _SELDOM * (time.monotonic() - start)
        return self._found


async def _too_many(connection: Connection, state: int, newest: int) -> float:
    if newest < 1:
        return math.inf
    kept = await connection.fetchval(SQL["purge_of_newest"], state, newest - 1)
    return -math.inf if kept is None else math.nextafter(kept, -math.inf)


async def bounds(connection: Connection, excess: Excess, newest: int) -> Bounds:
    """Find up to which `purge` records are to be removed, of the states that have any."""
    too_many = await excess.look(connection, newest)
    found: dict[int, float] = {}
    for now, state, first in await connection.fetch(SQL["bounds"], _FINAL):
        until = max(now, too_many[state])
        if first is not None and first <= until:
            found[state] = until
    return found


async def remove_jobs(connection: Connection, until: Bounds, limit: int) -> int:
    """Remove at most `limit` records up to their bounds; return how many."""
    removed = 0
    for state, purge in until.items():
        if removed < limit:
            done = await connection.execute(SQL["prune"], state, purge, limit - removed)
            removed += _number(done)
    return removed


async def remove_records(connection: Connection, limit: int) -> int:
    """Remove at most `limit` records whose time is over; return how many."""
    # What is remembered of settles is nobody's to count.
    await connection.execute(SQL["prune_unkept"], limit)
    return _number(await connection.execute(SQL["prune_records"], limit))


async def remove_joins(connection: Connection, limit: int) -> int:
    """Remove joins whose time is over, at most `limit` rows of them; return how many."""
    names = [name for (name,) in await connection.fetch(SQL["joins_over"], limit)]
    if not names:
        return 0
    members = _number(await connection.execute(SQL["drop_members"], names, limit))
    if members == limit:
        return members  # a join goes after its last member, with the next step
    gone = await connection.execute(SQL["drop_joins"], names[: limit - members])
    return members + _number(gone)


def _number(done: str) -> int:
    return int(done.rpartition(" ")[2])
