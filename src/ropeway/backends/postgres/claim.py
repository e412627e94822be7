"""Taking messages: expired leases, then what is due."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ropeway.backends.postgres import limits
from ropeway.backends.postgres.lanes import Lane, is_limited
from ropeway.backends.postgres.locks import LIMITS
from ropeway.backends.postgres.look import Look, Since, kinds_of
from ropeway.backends.postgres.rows import Row, place_of
from ropeway.backends.postgres.sessions import Connection
from ropeway.backends.postgres.statements import SQL
from ropeway.claims import Claim, next_turn
from ropeway.envelope import delivery_of
from ropeway.message import Delivery

_MOST_EXAMINED = 1_000
"""Messages with limits that one claim looks at, so that others get their turn at the limits."""


class Claiming:
    """Several claims of one holder on their way, in one transaction."""

    def __init__(
        self, connection: Connection, since: Since, looked: Look, lessee: tuple[str, float]
    ) -> None:
        self._connection, self._since, self._looked = connection, since, looked
        self._lessee = lessee
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
            self._looked = await self._since.look(self._connection, [claim])
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
                again = (await self._since.look(self._connection, [claim])).bands(claim).get(band)
                found |= {} if again is None else {band: again}

    async def _take_band(
        self, claim: Claim, band: int, lanes: dict[Lane, float], until: float
    ) -> None:
        (lane, *others) = lanes
        if others or is_limited(lane[1]):
            await self._examine(claim, band, lanes, until)
        else:
            since = self._since.place(claim.queue, *lane)
            await self._take("claim_due", claim.queue, *lane, until, self._wanted(claim), since)

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
                wanted = (claim.queue, *lane, until, asked, self._since.place(claim.queue, *lane))
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
        rows = await self._fetch(name, *self._lessee, *wanted)
        self._rows += sorted(rows, key=place_of)

    async def _fetch(self, name: str, *values: object) -> list[Any]:
        return await self._connection.fetch(SQL[name], *values)


def deliveries(rows: Sequence[Row], holder: str) -> list[Delivery]:
    """Make deliveries of what was claimed."""
    return [delivery_of(row, holder) for row in rows]
