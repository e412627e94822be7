"""What the end of a job sets free: the next of its key, and room in its limits."""

from __future__ import annotations

from ropeway.backends.sqlite import depth, limits
from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.lanes import BY_KEY, BY_LIMIT
from ropeway.backends.sqlite.ops import Writing
from ropeway.store import queue_name


def leased_ended(writing: Writing, queue: str, key: str | None, limited_by: str | None) -> None:
    """See to what a job held back while it was leased."""
    if limited_by is not None:
        limits.give_back(writing, limited_by)
    if key is not None:
        _free_next(writing, queue, key)


def waiting_ended(writing: Writing, serial: int, queue: str, key: str | None, lane: int) -> None:
    """See to what a job held back that was waiting in a lane."""
    depth.changed(writing, queue, -1)
    if lane == BY_LIMIT:
        writing.execute(sql.DROP_PARKED, (serial,))
    if key is not None and lane != BY_KEY:
        _free_next(writing, queue, key)


def _free_next(writing: Writing, queue: str, key: str) -> None:
    """Free the next of a key.

    Exactly one of the open jobs of a key is not blocked by it. When that one goes the first of
    the others takes its place, behind what is ready by then, so that keys take turns.
    """
    writing.execute(sql.FREE_NEXT, (writing.clock.now(), queue, key))
    if writing.connection.changes():
        writing.changed.add(queue_name(queue))
