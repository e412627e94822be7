"""Taking messages: expired leases, then what is due."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from ropeway.backends.postgres import limits
from ropeway.backends.postgres.lanes import Lane, is_limited, lane_of
from ropeway.backends.postgres.locks import LIMITS
from ropeway.backends.postgres.rows import Row, columns, delivery_of
from ropeway.backends.postgres.sessions import Connection
from ropeway.backends.postgres.statements import SQL
from ropeway.claims import Claim, next_turn
from ropeway.envelope import KIND_NUMBERS
from ropeway.message import Delivery

_MOST_EXAMINED = 1_000
"""Messages with limits that one claim looks at, so that others get their turn at the limits."""

Place = tuple[str, int]
"""A queue and a kind."""


class Look(Struct):
    """What waits, where claims have looked: lanes with their first places, and what may be due."""

    now: float = 0.0
    lanes: dict[Place, dict[int, float]] = field(default_factory=dict)
    expiries: dict[Place, float] = field(default_factory=dict)
    wakes: dict[Place, float] = field(default_factory=dict)

    def bands(self, claim: Claim) -> dict[int, dict[Lane, float]]:
        """Return the bands in which something waits that a claim may have, lane by lane."""
        found: dict[int, dict[Lane, float]] = {}
        lowest, highest = lane_of(claim.lowest), lane_of(claim.highest, limited=True)
        for kind in kinds_of(claim):
            for lane, place in self.lanes.get((claim.queue, kind), {}).items():
                if lowest <= lane <= highest:
                    found.setdefault(lane >> 1, {})[kind, lane] = place
        return found

    def ready_in(self, claims: Sequence[Claim]) -> float:
        """Return in how many seconds one of `claims` may find something, as far as is known."""
        waits = [float("inf"), *self.expiries.values(), *self.wakes.values()]
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


def kinds_of(claim: Claim) -> list[int]:
    """The numbers of the kinds that a claim asks for."""
    return [KIND_NUMBERS[kind] for kind in claim.wanted]


async def look(connection: Connection, claims: Sequence[Claim]) -> Look:
    """Look at what claims have to see to."""
    places = {(claim.queue, kind) for claim in claims for kind in kinds_of(claim)}
    found = Look()
    for now, queue, kind, lane, at, expiry, wake in await connection.fetch(
        SQL["look"], *columns(sorted(places), 2)
    ):
        found.now = now
        if lane is not None:
            found.lanes.setdefault((queue, kind), {})[lane] = at
        if expiry is not None:
            found.expiries[queue, kind] = expiry
        if wake is not None:
            found.wakes[queue, kind] = wake
    return found


class Claiming:
    """Several claims of one holder on their way, in one transaction."""

    def __init__(self, connection: Connection, looked: Look, holder: str, lease: float) -> None:
        self._connection, self._looked = connection, looked
        self._lessee = (holder, lease)
        self._limits = looked.needs_limits()
        self._rows: list[Row] = []
        self._examined = 0
        self.finished = True

    async def run(self, claims: Sequence[Claim]) -> list[Row]:
        """Lease what each claim may have, and return the rows."""
        if self._limits:
            await self._connection.fetchval(SQL["lock"], [LIMITS])
        found: list[Row] = []
        for claim in claims:
            self._rows = []
            await self._claim(claim)
            found += self._rows
        return found

    async def _claim(self, claim: Claim) -> None:
        now, freed = self._looked.now, False
        for kind in kinds_of(claim):
            place = claim.queue, kind
            if self._looked.expiries.get(place, now + 1) <= now:
                wanted = (*place, claim.lowest, claim.highest, self._wanted(claim))
                await self._take("claim_expired", *wanted)
            if self._looked.wakes.get(place, now + 1) <= now:
                await limits.free_parked(self._connection, *place, claim.n, now)
                freed = True
        if freed:
            self._looked = await look(self._connection, [claim])
        if self._wanted(claim) > 0:
            await self._take_due(claim)

    def _wanted(self, claim: Claim) -> int:
        return claim.n - len(self._rows)

    async def _take_due(self, claim: Claim) -> None:
        looked = self._looked
        found, now = looked.bands(claim), looked.now
        while self._wanted(claim) > 0 and self.finished:
            turn = next_turn({band: min(each.values()) for band, each in found.items()}, now)
            if turn is None:
                return
            band, until = turn
            await self._take_band(claim, band, found.pop(band), until)
            if until < now and self._wanted(claim) > 0:
                again = (await look(self._connection, [claim])).bands(claim).get(band)
                found |= {} if again is None else {band: again}

    async def _take_band(
        self, claim: Claim, band: int, lanes: dict[Lane, float], until: float
    ) -> None:
        (lane, *others) = lanes
        if others or is_limited(lane[1]):
            await self._examine(claim, band, lanes, until)
        else:
            await self._take("claim_due", claim.queue, *lane, until, self._wanted(claim))

    async def _examine(
        self, claim: Claim, band: int, lanes: dict[Lane, float], until: float
    ) -> None:
        """Take one by one: as the limits allow, and in order where several lanes have some."""
        if not self._limits and any(is_limited(lane) for _, lane in lanes):
            self.finished = False  # it came to be there since it was looked for: once more
            return
        while self.finished and (asked := self._wanted(claim)) > 0:
            found: list[limits.Candidate] = []
            for lane in lanes:
                wanted = (claim.queue, *lane, until, asked)
                found += [tuple(row) for row in await self._fetch("candidates", *wanted)]
            found = sorted(found)[:asked]
            chosen = await limits.choose(
                self._connection, claim.queue, band, found, self._looked.now
            )
            if chosen:
                await self._take("claim_chosen", chosen)
            if len(found) < asked:
                return
            self._examined += len(found)
            self.finished = self._examined < _MOST_EXAMINED

    async def _take(self, name: str, *wanted: object) -> None:
        # `returning` promises no order: the first two columns are the order that was asked for.
        rows = await self._fetch(name, *self._lessee, *wanted)
        self._rows += sorted(rows, key=_place)

    async def _fetch(self, name: str, *values: object) -> list[Any]:
        return await self._connection.fetch(SQL[name], *values)


def _place(row: Row) -> tuple[float, int]:
    return row[0], row[1]


def deliveries(rows: Sequence[Row], holder: str) -> list[Delivery]:
    """Make deliveries of what was claimed."""
    return [delivery_of(row, holder) for row in rows]
