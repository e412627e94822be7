"""What a person does to a settled job: have it wait again, or forget it."""

from __future__ import annotations

from ropeway.backends.sqlite import depth
from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.limits import names_of
from ropeway.backends.sqlite.ops import Writing
from ropeway.envelope import KIND_NUMBERS, STATES, head_of, message_of
from ropeway.message import Message, job_key
from ropeway.store import queue_name
from ropeway.transition import Answer, Remove, Revive, Transition


def guard_settled(writing: Writing, transition: Transition) -> Answer | None:
    """Refuse the transition if one of the jobs to be revived or removed is not settled."""
    for revived in transition.revive:
        version, settled = _look(writing, revived.id)
        if not settled:
            return _conflict(revived.id, version)
    for removed in transition.remove:
        version, settled = _look(writing, removed.id)
        if version and not settled:
            return _conflict(removed.id, version)
    return None


def revive(writing: Writing, wanted: Revive) -> None:
    """Have one settled job wait again, in the line of its key where its publishing had put it."""
    if wanted.message is not None:
        _replace(writing, wanted.message)
    now = writing.clock.now()
    due = now if wanted.due is None else wanted.due
    row = writing.execute(sql.GET_JOB, (wanted.id,)).fetchone()
    expires = message_of(row[:7])[0].expiry(now)
    queue = writing.execute(sql.REVIVE, (due, now, expires, wanted.id)).get
    if queue is None:  # an earlier write of the same transition was quicker
        return
    # One that finished although it was to be cancelled: that was another run.
    writing.execute(sql.DROP_FLAG, (wanted.id,))
    depth.changed(writing, queue, 1)
    writing.changed |= {job_key(wanted.id), queue_name(queue)}


def remove(writing: Writing, wanted: Remove) -> None:
    """Forget one settled job."""
    writing.execute(sql.REMOVE, (wanted.id,))
    if writing.connection.changes():
        writing.execute(sql.DROP_FLAG, (wanted.id,))
        writing.changed.add(job_key(wanted.id))


def _replace(writing: Writing, message: Message) -> None:
    values = (
        message.task,
        message.queue,
        message.band,
        message.key,
        head_of(message),
        message.body,
        names_of(message),
        KIND_NUMBERS[message.kind],
    )
    writing.execute(sql.REPLACE_MESSAGE, (*values, message.id))


def _look(writing: Writing, job_id: str) -> tuple[int, bool]:
    """Return a job's version, 0 if it is unknown, and whether it is settled."""
    row = writing.execute(sql.FENCE, (job_id,)).fetchone()
    return (row[0], STATES[row[1]].final) if row else (0, False)


def _conflict(job_id: str, version: int) -> Answer:
    return Answer(status="refused", reason="conflict", key=job_key(job_id), current=version)
