"""Taking messages and keeping them: expired leases, what is due, and renewals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ropeway.backends.sqlite import limits
from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.cancel import end_flagged
from ropeway.backends.sqlite.lanes import Band, bands, is_plain, kinds_of
from ropeway.backends.sqlite.ops import Writing
from ropeway.broker import Held
from ropeway.claims import MAX_BATCH, Claim, next_turn
from ropeway.envelope import Row, delivery_of
from ropeway.message import Delivery, Fence

Execute = Callable[..., Any]
_MOST_EXAMINED = 1_000
"""Messages with limits that one claim looks at, so that others get their turn at the database."""

_encode = msgspec.json.Encoder().encode


def claim_all(
    writing: Writing, claims: Sequence[Claim], holder: str, lease: float
) -> list[Delivery] | None:
    """Lease what each claim may have: expired leases first, then what is due.

    None if nothing was found yet and there is more to look at.
    """
    found: list[Delivery] = []
    finished = True
    writing.depths.clear()
    for claim in claims:
        one = _Claiming(writing, claim, holder, lease)
        one.run()
        found += [delivery_of(row, holder) for row in one.rows]
        finished &= one.finished
    return found if found or finished else None


def extend_all(writing: Writing, fences: Sequence[Fence], lease: float) -> list[Held]:
    """Renew each lease that is still the attempt's own, expired or not."""
    until = writing.clock.boot() + lease
    answers: dict[int | None, Held] = {None: "lost", 0: "held", 1: "cancelled"}
    return [
        answers[writing.execute(sql.EXTEND, (until, fence.id, fence.attempt, fence.holder)).get]
        for fence in fences
    ]


def earliest(execute: Execute, claims: Sequence[Claim], now: float, boot: float) -> float:
    """Return in how many seconds one of `claims` may find something, as far as is known now."""
    waits = [float("inf")]
    for claim in claims:
        for kind in kinds_of(claim):
            expiry, wake, lane = execute(sql.LOOK, (claim.queue, kind) * 3).fetchone()
            if expiry is not None:
                waits.append(expiry - boot)
            if wake is not None:
                waits.append(wake - now)
            if lane is not None and lane >= 0:
                found = bands(execute, claim.queue, (kind,), claim.lowest, claim.highest)
                waits += [place - now for band in found.values() for place in band.values()]
    return min(waits)


class _Claiming:
    """One claim on its way: the rows that it has got, and whether it has looked at all it may."""

    def __init__(self, writing: Writing, claim: Claim, holder: str, lease: float) -> None:
        self.rows: list[Row] = []
        self.finished = True
        self._writing, self._claim = writing, claim
        self._now, self._boot = writing.clock.now(), writing.clock.boot()
        self._lessee = (holder, self._boot + lease, self._now)
        self._examined = 0

    def run(self) -> None:
        queue, kinds = self._claim.queue, list[int]()
        for kind in kinds_of(self._claim):
            expiry, wake, lane = self._writing.execute(sql.LOOK, (queue, kind) * 3).fetchone()
            if expiry is not None and expiry <= self._boot:
                self._take_over(kind)
            freed = wake is not None and wake <= self._now
            if freed:
                limits.free_parked(self._writing, queue, kind, self._claim.n, self._now)
            if freed or (lane is not None and lane >= 0):
                kinds.append(kind)
        if kinds and self._wanted > 0:
            self._take_due(kinds)

    @property
    def _wanted(self) -> int:
        return self._claim.n - len(self.rows)

    def _take_over(self, kind: int) -> None:
        while end_flagged(MAX_BATCH, self._writing) == MAX_BATCH:
            pass
        claim = self._claim
        wanted = (claim.queue, kind, self._boot, claim.lowest, claim.highest, self._wanted)
        self._add(self._writing.execute(sql.CLAIM_EXPIRED, (*self._lessee, *wanted)))

    def _take_due(self, kinds: Sequence[int]) -> None:
        claim, execute = self._claim, self._writing.execute
        found = bands(execute, claim.queue, kinds, claim.lowest, claim.highest)
        while self._wanted > 0 and self.finished:
            turn = next_turn({band: min(each.values()) for band, each in found.items()}, self._now)
            if turn is None:
                return
            band, until = turn
            self._take(band, found.pop(band), until)
            if until < self._now and self._wanted > 0:
                found |= bands(execute, claim.queue, kinds, band, band)

    def _take(self, band: int, lanes: Band, until: float) -> None:
        (lane, *others) = lanes
        if others or not is_plain(lane):
            self._examine(band, lanes, until)
        else:
            wanted = (self._claim.queue, *lane, until, self._wanted)
            self._add(self._writing.execute(sql.CLAIM_DUE, (*self._lessee, *wanted)))

    def _examine(self, band: int, lanes: Band, until: float) -> None:
        """Take one by one: as the limits allow, and in order where several lanes have some."""
        execute, queue = self._writing.execute, self._claim.queue
        while self.finished and (asked := self._wanted) > 0:
            found = self._candidates(lanes, until, asked)
            chosen = limits.choose(self._writing, queue, band, found, self._now)
            if chosen:
                self._add(execute(sql.CLAIM_CHOSEN, (*self._lessee, _encode(chosen).decode())))
            if len(found) < asked:
                return
            self._examined += len(found)
            self.finished = self._examined < _MOST_EXAMINED

    def _candidates(self, lanes: Band, until: float, n: int) -> list[limits.Candidate]:
        found: list[limits.Candidate] = []
        for lane in lanes:
            wanted = (self._claim.queue, *lane, until, n)
            found += self._writing.execute(sql.CANDIDATES, wanted).fetchall()
        return sorted(found, key=_place)[:n]

    def _add(self, cursor: Any) -> None:
        # `returning` promises no order: the first two columns are the order that was asked for.
        self.rows += sorted(cursor.fetchall(), key=_place)


def _place(row: Row) -> tuple[float, int]:
    return row[0], row[1]
