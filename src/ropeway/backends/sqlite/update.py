"""Changing a job that waits."""

from __future__ import annotations

from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.ending import waiting_ended
from ropeway.backends.sqlite.lanes import BY_KEY, BY_LIMIT
from ropeway.backends.sqlite.ops import Writing
from ropeway.envelope import NUMBERS
from ropeway.message import job_key
from ropeway.states import State
from ropeway.store import queue_name
from ropeway.transition import Answer, Transition, Update


def guard_updates(writing: Writing, transition: Transition) -> Answer | None:
    """Refuse the transition if one of the jobs that it updates does not wait."""
    for update in transition.update:
        row = writing.execute(sql.WAITING_JOB, (update.id,)).fetchone()
        if row is None or row[2] != NUMBERS[State.QUEUED]:
            key, current = job_key(update.id), row[1] if row else 0
            return Answer(status="refused", reason="conflict", key=key, current=current)
    return None


def update(writing: Writing, change: Update) -> None:
    """Change one job that waits.

    In another queue it goes behind what is open of its key there. A limit looks at it anew.
    """
    found = writing.execute(sql.WAITING_JOB, (change.id,)).fetchone()
    serial, _, _, queue, key, lane = found
    moves = change.queue is not None and change.queue != queue
    line = (change.queue, key) if moves else (None, None)
    stays = BY_KEY if lane == BY_KEY and not moves else None
    values = (change.due, change.due, change.queue, change.band, change.body)
    writing.execute(sql.UPDATE, (*values, *line, stays, change.band, serial))
    if moves or lane == BY_LIMIT:
        waiting_ended(writing, serial, queue, key if moves else None, lane)
    writing.depths.clear()
    writing.changed |= {job_key(change.id), queue_name(change.queue or queue)}
