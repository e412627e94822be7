"""What claims find when they look, and from where on they look.

A row that was claimed or settled leaves an entry behind in the index of what waits. The server clears
these away once nobody can see the row any more; while somebody holds an old snapshot open (a backup, a
report, a forgotten transaction) they pile up in front of what waits. Then claims begin where the last
look has found the first of each lane, and look at everything only now and again: what comes to stand
before that, such as what was given back to its old place, is found a little late.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, field

from ropeway.backends.postgres.lanes import Lane, is_limited, lane_of
from ropeway.backends.postgres.rows import Row, columns, place_of, taken_of
from ropeway.backends.postgres.sessions import Connection
from ropeway.backends.postgres.statements import SQL
from ropeway.claims import Claim
from ropeway.envelope import KIND_NUMBERS
from ropeway.message import HIGHEST_BAND, LOWEST_BAND, Delivery

Place = tuple[str, int]
"""A queue and a kind."""

MANY = 2_000
"""Entries read by one look from which on it is worth it to look from a place on."""

_SELDOM = 20
"""How many times as long as a look at everything took none is taken after it."""

_LANES = range(lane_of(LOWEST_BAND), lane_of(HIGHEST_BAND, limited=True) + 1)
_EVERYTHING = -math.inf


class Look(Struct):
    """What waits, where claims have looked: lanes with their first places, and what may be due."""

    now: float = 0.0
    lanes: dict[Place, dict[int, float]] = field(default_factory=dict)
    expiries: dict[Place, float] = field(default_factory=dict)
    wakes: dict[Place, float] = field(default_factory=dict)
    entries: int = 0

    def bands(self, claim: Claim) -> dict[int, dict[Lane, float]]:
        """Return the bands in which something waits that a claim may have, lane by lane."""
        found: dict[int, dict[Lane, float]] = {}
        lowest, highest = _lanes_of(claim)
        for kind in kinds_of(claim):
            for lane, place in self.lanes.get((claim.queue, kind), {}).items():
                if lowest <= lane <= highest:
                    found.setdefault(lane >> 1, {})[kind, lane] = place
        return found

    def ready_in(self, claims: Sequence[Claim]) -> float:
        """Return in how many seconds one of `claims` may find something, as far as is known."""
        waits = [math.inf, *self.expiries.values(), *self.wakes.values()]
        for claim in claims:
            waits += [at for band in self.bands(claim).values() for at in band.values()]
        return min(waits) - self.now

    def is_late(self, dates: dict[Place, float]) -> bool:
        """Whether one of the dates has come."""
        return any(at <= self.now for at in dates.values())

    def needs_limits(self) -> bool:
        """Whether a claim may have to count for limits."""
        limited = (lane for lanes in self.lanes.values() for lane in lanes)
        return any(map(is_limited, limited)) or self.is_late(self.wakes)

    def is_simple(self, claims: Sequence[Claim]) -> bool:
        """Whether one statement takes all that `claims` may have: of one lane, without limits."""
        due = [
            lanes
            for claim in claims
            for lanes in self.bands(claim).values()
            if min(lanes.values()) <= self.now
        ]
        return (
            not self.is_late(self.expiries)
            and not self.needs_limits()
            and list(map(len, due)) == [1]
        )


def kinds_of(claim: Claim) -> list[int]:
    """The numbers of the kinds that a claim asks for."""
    return [KIND_NUMBERS[kind] for kind in claim.wanted]


def _lanes_of(claim: Claim) -> tuple[int, int]:
    """The lowest and the highest lane that a claim may have something of."""
    return lane_of(claim.lowest), lane_of(claim.highest, limited=True)


class Since:
    """From where on the claims of one process look: from the start, unless too much lies there."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, int, int], float] = {}
        self._leases: dict[Place, float] = {}
        self._until = 0.0

    def place(self, queue: str, kind: int, lane: int) -> float:
        """Return the place from which on to look in a lane."""
        return self._lanes.get((queue, kind, lane), _EVERYTHING)

    async def look(self, connection: Connection, claims: Sequence[Claim]) -> Look:
        """Look at what claims have to see to."""
        places = sorted({(claim.queue, kind) for claim in claims for kind in kinds_of(claim)})
        start = time.monotonic()
        if self._knows(places, start):
            found = await self._look_from(connection, places)
            self._remember(places, found)
            return found
        self._lanes.clear()
        wanted = [(*place, _EVERYTHING) for place in places]
        found = _read(await connection.fetch(SQL["look"], *columns(wanted, 3)))
        self._judge(places, found, start)
        return found

    async def look_and_claim(
        self, connection: Connection, claims: Sequence[Claim], lessee: tuple[str, float]
    ) -> tuple[Look, list[Delivery]]:
        """Look, and in the same round trip lease what is found, where one statement takes it all."""
        wanted = [
            (claim.queue, kind, _EVERYTHING, *_lanes_of(claim), claim.n)
            for claim in claims
            for kind in kinds_of(claim)
        ]
        places = {(queue, kind) for queue, kind, *_ in wanted}
        start = time.monotonic()
        if len(places) < len(wanted) or self._knows(places, start):
            return await self.look(connection, claims), []
        self._lanes.clear()
        rows = await connection.fetch(SQL["look_and_claim"], *lessee, *columns(wanted, 6))
        looks = [row for row in rows if row[3] is None]
        found = _read(map(told, looks))
        self._judge(sorted(places), found, start)
        if len(looks) == len(rows):
            return found, []
        taken = sorted((row for row in rows if row[3] is not None), key=place_of)
        ((queue, lane),) = ((row[4], row[1]) for row in looks if _is_chosen(row))
        return found, [taken_of(row, queue, lane >> 1, lessee[0]) for row in taken]

    def _knows(self, places: Iterable[Place], now: float) -> bool:
        """Whether to look from a place on."""
        return now < self._until and all(place in self._leases for place in places)

    def _judge(self, places: Sequence[Place], found: Look, start: float) -> None:
        """Look from a place on for a while, if a look at everything has read too much."""
        if found.entries > MANY:
            self._leases.clear()
            self._until = start + (_SELDOM + 1) * (time.monotonic() - start)
            self._remember(places, found)

    async def _look_from(self, connection: Connection, places: Sequence[Place]) -> Look:
        leases = [(*place, self._leases[place]) for place in places]
        lanes = [(*place, lane, self.place(*place, lane)) for place in places for lane in _LANES]
        wanted = (*columns(leases, 3), *columns(lanes, 4))
        return _read(await connection.fetch(SQL["look_from"], *wanted))

    def _remember(self, places: Sequence[Place], found: Look) -> None:
        for place in places:
            # What is published from now on comes later than now; a new lease ends later.
            self._leases[place] = min(found.now, found.expiries.get(place, math.inf))
            first = found.lanes.get(place, {})
            self._lanes |= {
                (*place, lane): min(found.now, first.get(lane, found.now)) for lane in _LANES
            }


def told(row: Row) -> tuple[Any, ...]:
    """What a row of `look_and_claim` without an id says, in the order of `look`."""
    place, number, lease, _, queue, now, kind = row[:7]
    if queue is None:
        return now, None, None, None, None, None, None, number
    if number is None:
        return now, queue, kind, None, None, lease, place, None
    return now, queue, kind, number, place, None, None, None


def _is_chosen(row: Row) -> bool:
    """Whether a row tells of the lane from which something was taken."""
    return row[4] is not None and row[1] is not None and row[2] is not None


def _read(rows: Iterable[Any]) -> Look:
    found = Look()
    for row in rows:
        now, queue, kind, lane, at, expiry, wake, entries = row
        found.now = now
        if entries is not None:
            found.entries = entries - found.entries
        if lane is not None:
            found.lanes.setdefault((queue, kind), {})[lane] = at
        if expiry is not None:
            found.expiries[queue, kind] = expiry
        if wake is not None:
            found.wakes[queue, kind] = wake
    return found
