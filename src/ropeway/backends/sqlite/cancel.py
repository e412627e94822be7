"""Cancelling: what waits ends at once, what runs is flagged and ends when its attempt does."""

from __future__ import annotations

from collections.abc import Sequence

from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.ending import leased_ended, waiting_ended
from ropeway.backends.sqlite.ops import Writing
from ropeway.envelope import error_of
from ropeway.message import job_key
from ropeway.store import holder_name
from ropeway.transition import Cancel, Release


def cancel_all(
    writing: Writing, cancels: Sequence[Cancel]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Cancel each job; return the ids of those that ended, and of those that were flagged."""
    ended = tuple(each.id for each in cancels if _end_waiting(writing, each))
    flagged = tuple(each.id for each in cancels if each.id not in ended and _flag(writing, each))
    writing.changed.update(map(job_key, ended + flagged))
    return ended, flagged


def release_flagged(
    writing: Writing, settle: Release, charged: Sequence[int], guard: tuple[bytes, str, int, str]
) -> bool:
    """End a flagged job in place of its release, if the attempt still holds its lease."""
    now = writing.clock.now()
    wanted = (error_of(settle.error), now, now, *charged, *guard)
    row = writing.execute(sql.RELEASE_FLAGGED, wanted).fetchone()
    if row is None:
        return False
    writing.execute(sql.DROP_FLAG, (guard[1],))
    writing.changed.add(job_key(guard[1]))
    leased_ended(writing, *row)
    return True


def end_flagged(limit: int, writing: Writing) -> int:
    """End at most `limit` flagged jobs whose leases are over; return how many."""
    now = writing.clock.now()
    wanted = (now, now, writing.clock.boot(), limit)
    ended = writing.execute(sql.END_FLAGGED, wanted).fetchall()
    for job_id, queue, key, limited_by in ended:
        writing.changed.add(job_key(job_id))
        leased_ended(writing, queue, key, limited_by)
    writing.execute(sql.DROP_SPENT_FLAGS)
    return len(ended)


def _end_waiting(writing: Writing, cancel: Cancel) -> bool:
    now = writing.clock.now()
    row = writing.execute(sql.CANCEL_WAITING, (now, now + cancel.keep, cancel.id)).fetchone()
    if row is None:
        return False
    waiting_ended(writing, *row)
    return True


def _flag(writing: Writing, cancel: Cancel) -> bool:
    row = writing.execute(sql.FLAG, (cancel.id,)).fetchone()
    if row is None:
        return False
    writing.execute(sql.SET_FLAG, (cancel.id, cancel.keep))
    writing.changed.add(holder_name(row[0]))
    return True
