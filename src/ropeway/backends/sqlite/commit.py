"""Applying transitions inside one SQL transaction, each whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence

from ropeway.backends.sqlite import depth, joins, logs, records
from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.cancel import cancel_all, release_flagged
from ropeway.backends.sqlite.depth import guard_room
from ropeway.backends.sqlite.ending import leased_ended
from ropeway.backends.sqlite.lanes import lane_of
from ropeway.backends.sqlite.limits import give_back, names_of
from ropeway.backends.sqlite.ops import Durable, Writing
from ropeway.backends.sqlite.revive import guard_settled, remove, revive
from ropeway.backends.sqlite.update import guard_updates, update
from ropeway.envelope import KIND_NUMBERS, NUMBERS, error_of, head_of
from ropeway.message import JOB_PREFIX, Failure, Fence, Message, job_key
from ropeway.states import State
from ropeway.store import queue_name
from ropeway.transition import (
    APPLIED,
    REPEATED,
    Answer,
    Finish,
    Reject,
    Release,
    Transition,
    digest,
    guards_state,
    is_plain,
    only_arrives,
    size,
)

_MUCH = 65_536


def apply_all(transitions: Sequence[Transition], writing: Writing) -> list[Answer]:
    """Apply each transition, in order, and answer for each."""
    return [_apply(writing, transition) for transition in transitions]


def lone_message(transitions: Sequence[Transition]) -> Message | None:
    """Return the message if one is all that is asked for, as by nearly every program that sends."""
    if len(transitions) != 1:
        return None
    (only,) = transitions
    if len(only.publish) != 1 or only.fence or guards_state(only) or not is_plain(only):
        return None
    return only.publish[0]


def publish_alone(message: Message, writing: Writing) -> list[Answer]:
    """Do what `apply_all` would do for the transition of a lone message."""
    return [_publish_one(writing, message)]


def durability(transitions: Sequence[Transition]) -> Durable:
    """Return when the transitions must be on the disk: messages alone may be seen before that."""
    for each in transitions:
        if each.fence or guards_state(each) or not is_plain(each):
            return "before"
    return "after"


def needs_room(transitions: Sequence[Transition]) -> bool:
    """Whether any of this brings more work, or much of anything: a nearly full disk refuses that."""
    return any(each.fence is None and (each.publish or size(each) > _MUCH) for each in transitions)


def _apply(writing: Writing, transition: Transition) -> Answer:
    simple = not guards_state(transition) and is_plain(transition)
    if simple and transition.fence is None and len(transition.publish) == 1:
        return _publish_one(writing, transition.publish[0])
    if simple and transition.fence is not None and transition.settle and not transition.publish:
        # The settle's own `where` is the guard.
        if _settle(writing, transition, transition.fence):
            return APPLIED
        return _guard_fence(writing, transition.fence, transition) or APPLIED
    if transition.fence is not None and transition.arrive and only_arrives(transition):
        if not _settle(writing, transition, transition.fence):
            return _guard_fence(writing, transition.fence, transition) or APPLIED
        fired = joins.arrive_all(writing, transition.arrive)
        for message in (each for then in fired.values() for each in then):
            _insert(writing, message)
        return Answer(status="applied", fired=tuple(fired)) if fired else APPLIED
    return _guard(writing, transition) or _write(writing, transition)


# -- guards -------------------------------------------------------------------------------


def _guard(writing: Writing, transition: Transition) -> Answer | None:
    if transition.fence is not None:
        answer = _guard_fence(writing, transition.fence, transition)
        if answer is not None:
            return answer
    for key, version in transition.expect.items():
        current = _version(writing, key)
        if current != version:
            return Answer(status="refused", reason="conflict", key=key, current=current)
    known, given = 0, dict[str, Message]()
    for message in transition.publish:
        same = _same_as_kept(writing, message)
        if same is False or (same is None and given.setdefault(message.id, message) != message):
            return _duplicate(writing, message)
        known += same is True
    answer = guard_updates(writing, transition) or guard_settled(writing, transition)
    if answer is not None:
        return answer
    only_publishes = transition.fence is None and is_plain(transition)
    if known and only_publishes and known == len(transition.publish):
        return REPEATED
    return guard_room(writing, transition.room, given.values()) if transition.room else None


def _guard_fence(writing: Writing, fence: Fence, transition: Transition) -> Answer | None:
    row = writing.execute(sql.FENCE, (fence.id,)).fetchone()
    if row is not None:
        _, state, attempt, holder, settled = row
        if (attempt, holder) == (fence.attempt, fence.holder):
            if state == NUMBERS[State.RUNNING]:
                return None
            if settled == digest(transition):
                return REPEATED
    current = row[0] if row is not None else 0
    return Answer(status="refused", reason="lost", key=job_key(fence.id), current=current)


def _version(writing: Writing, key: str) -> int:
    if key.startswith(JOB_PREFIX):
        found = writing.execute(sql.JOB_VERSION, (key.removeprefix(JOB_PREFIX),))
    else:
        found = writing.execute(sql.RECORD_VERSION, (key, writing.clock.now()))
    row = found.fetchone()
    return int(row[0]) if row else 0


def _same_as_kept(writing: Writing, message: Message) -> bool | None:
    """Whether the id is kept with this very message; None if it is not kept."""
    row = writing.execute(sql.PUBLISHED, (message.id,)).fetchone()
    if row is None:
        return None
    asked = (message.task, message.queue, message.band, message.key)
    return bool(row[1:] == (*asked, head_of(message), message.body))


def _duplicate(writing: Writing, message: Message) -> Answer:
    key = job_key(message.id)
    return Answer(status="refused", reason="duplicate", key=key, current=_version(writing, key))


# -- writes -------------------------------------------------------------------------------


def _write(writing: Writing, transition: Transition) -> Answer:
    versions = records.write(writing, transition)
    offsets = logs.append_all(writing, transition.append)
    for trim in transition.trim:
        logs.trim(writing, trim)
    for message in transition.publish:
        _insert(writing, message)
    fired = joins.apply(writing, transition)
    for message in (each for then in fired.values() for each in then):
        _insert(writing, message)
    cancelled, flagged = cancel_all(writing, transition.cancel)
    for change in transition.update:
        update(writing, change)
    for each in transition.revive:
        revive(writing, each)
    for gone in transition.remove:
        remove(writing, gone)
    if transition.fence is not None and transition.settle is not None:
        _settle(writing, transition, transition.fence)
    return Answer(
        status="applied",
        versions=versions,
        offsets=offsets,
        fired=tuple(fired),
        cancelled=cancelled,
        flagged=flagged,
    )


def _publish_one(writing: Writing, message: Message) -> Answer:
    if _insert(writing, message):
        return APPLIED
    if _same_as_kept(writing, message):
        return REPEATED
    return _duplicate(writing, message)


def _insert(writing: Writing, message: Message) -> bool:
    now = writing.clock.now()
    due = now + message.delay if message.due is None else message.due
    values = (
        message.id,
        message.task,
        message.queue,
        message.band,
        due,
        now,
        head_of(message),
        message.body,
        message.expires if message.terms is None else message.expiry(now),
        KIND_NUMBERS[message.kind],
        lane_of(message.band),
    )
    if message.key is None and not message.limits:
        writing.execute(sql.PUBLISH, values)
    else:
        lane = lane_of(message.band, limited=bool(message.limits))
        special = (message.key, names_of(message), message.queue, message.key, lane)
        writing.execute(sql.PUBLISH_SPECIAL, values[:-1] + special)
    writing.changed.add(queue_name(message.queue))
    if writing.connection.changes() != 1:
        return False
    depth.changed(writing, message.queue, 1)
    return True


def _settle(writing: Writing, transition: Transition, fence: Fence) -> bool:
    settle, now = transition.settle, writing.clock.now()
    guard = (digest(transition), fence.id, fence.attempt, fence.holder)
    match settle:
        case Release():
            return _release(writing, settle, now, guard)
        case Finish():
            number, value, error = NUMBERS[settle.state], settle.value, settle.error
        case Reject():
            number, value, error = NUMBERS[State.QUARANTINED], None, settle.failure()
        case None:
            return True
    charged = (settle.counts == "failures", settle.counts == "losses")
    purge = now + settle.keep
    values = (number, value, error_of(error), now, purge, *map(int, charged), *guard)
    writing.execute(sql.FINISH, values)
    if writing.connection.changes() != 1 and not _finish_special(writing, values):
        return False
    _keep_cause(writing, fence.id, error)
    if settle.keep <= 0:
        writing.execute(sql.FORGET, (fence.id,))
    writing.changed.add(job_key(fence.id))
    return True


def _keep_cause(writing: Writing, job_id: str, error: Failure | None) -> None:
    # A statement of its own: what succeeds, as nearly all does, is not to pay for it.
    if error is not None and error.fingerprint:
        writing.execute(sql.KEEP_CAUSE, (error.fingerprint, job_id))


def _finish_special(writing: Writing, values: tuple[object, ...]) -> bool:
    row = writing.execute(sql.FINISH_SPECIAL, values).fetchone()
    if row is not None:
        leased_ended(writing, *row)
    return row is not None


def _release(
    writing: Writing, settle: Release, now: float, guard: tuple[bytes, str, int, str]
) -> bool:
    due = settle.at
    if due is None and settle.delay is not None:
        due = now + settle.delay
    counts = settle.counts
    charged = (
        int(counts == "failures"),
        int(counts == "losses"),
        int(counts in {"releases", "unknown"}),
        int(counts == "unknown"),
    )
    values = (due, due, error_of(settle.error), *charged, *guard)
    row = writing.execute(sql.RELEASE, values).fetchone()
    if row is None:
        return release_flagged(writing, settle, charged, guard)
    queue, limited_by = row
    depth.changed(writing, queue, 1)
    if limited_by is not None:
        give_back(writing, limited_by)
    writing.changed |= {job_key(guard[1]), queue_name(queue)}
    return True
