"""Taking messages and keeping them: the lease's two statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.ops import Writing
from ropeway.backends.sqlite.rows import Row, delivery_of
from ropeway.broker import Held
from ropeway.claims import Claim
from ropeway.message import HIGHEST_BAND, LOWEST_BAND, Delivery, Fence


def claim_all(
    writing: Writing, claims: Sequence[Claim], holder: str, lease: float
) -> list[Delivery]:
    """Lease what each claim may have: expired leases first, then what is due, band by band."""
    found: list[Delivery] = []
    for claim in claims:
        rows = _expired(writing, claim, holder, lease)
        rows += _due(writing, claim, holder, lease, claim.n - len(rows))
        found += [delivery_of(row, holder) for row in rows]
    return found


def extend_all(writing: Writing, fences: Sequence[Fence], lease: float) -> list[Held]:
    """Renew each lease that is still the attempt's own, expired or not."""
    until = writing.clock.boot() + lease
    answers: list[Held] = []
    for fence in fences:
        writing.execute(sql.EXTEND, (until, fence.id, fence.attempt, fence.holder))
        answers.append("held" if writing.connection.changes() == 1 else "lost")
    return answers


def earliest(
    execute: Callable[..., Any], claims: Sequence[Claim], now: float, boot: float
) -> float:
    """Return in how many seconds one of `claims` may find something, as far as is known now."""
    waits = [float("inf")]
    for claim in claims:
        expiry = execute(sql.EARLIEST_EXPIRY, (claim.queue,)).get
        if expiry is not None:
            waits.append(expiry - boot)
        due = earliest_due(execute, claim.queue, claim.lowest, claim.highest)
        if due is not None:
            waits.append(due - now)
    return min(waits)


def earliest_due(
    execute: Callable[..., Any], queue: str, lowest: int = LOWEST_BAND, highest: int = HIGHEST_BAND
) -> float | None:
    """Return the due time of what waits and is due first, in any of the bands."""
    bands = _bands(execute, queue, lowest, highest)
    return min((execute(sql.EARLIEST_DUE, (queue, band)).get for band in bands), default=None)


def _expired(writing: Writing, claim: Claim, holder: str, lease: float) -> list[Row]:
    boot = writing.clock.boot()
    soonest = writing.execute(sql.EARLIEST_EXPIRY, (claim.queue,)).get
    if soonest is None or soonest > boot:
        return []
    return _taken(
        writing.execute(
            sql.CLAIM_EXPIRED,
            (
                holder,
                boot + lease,
                writing.clock.now(),
                claim.queue,
                boot,
                claim.lowest,
                claim.highest,
                claim.n,
            ),
        )
    )


def _due(writing: Writing, claim: Claim, holder: str, lease: float, n: int) -> list[Row]:
    now, until = writing.clock.now(), writing.clock.boot() + lease
    rows: list[Row] = []
    if n <= 0:
        return rows
    for band in _bands(writing.execute, claim.queue, claim.lowest, claim.highest):
        wanted = (holder, until, now, claim.queue, band, now, n - len(rows))
        rows += _taken(writing.execute(sql.CLAIM_DUE, wanted))
        if len(rows) >= n:
            break
    return rows


def _bands(execute: Callable[..., Any], queue: str, lowest: int, highest: int) -> Iterator[int]:
    """The bands of `queue` that hold a waiting message, highest first."""
    while (band := execute(sql.NEXT_BAND, (queue, highest, lowest)).get) is not None:
        yield band
        highest = band - 1


def _taken(cursor: Any) -> list[Row]:
    # `returning` promises no order: the first two columns are the order that was asked for.
    return sorted(cursor.fetchall(), key=_place)


def _place(row: Row) -> tuple[float, int]:
    return row[0], row[1]
