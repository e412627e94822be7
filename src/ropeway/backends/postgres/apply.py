"""Transitions, applied to the model: pure decisions, in the order that the contract gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from ropeway.backends.postgres.lanes import BY_KEY, lane_of
from ropeway.backends.postgres.model import Joined, Kept, Model
from ropeway.backends.postgres.rows import Job, limits_of
from ropeway.decide import NOT_STARTED, Keep
from ropeway.envelope import KIND_NUMBERS, NUMBERS, error_of, head_of
from ropeway.message import Fence, Message, job_key, late_key
from ropeway.states import State
from ropeway.store import holder_name, log_name, queue_name
from ropeway.transition import (
    FIRED_KEPT,
    OPEN_KEPT,
    REPEATED,
    Answer,
    Append,
    Arrive,
    Cancel,
    Drop,
    Finish,
    Join,
    Put,
    Reject,
    Release,
    Revive,
    Transition,
    Update,
    digest,
    is_plain,
)

_QUEUED, _RUNNING = NUMBERS[State.QUEUED], NUMBERS[State.RUNNING]
_encode = msgspec.msgpack.Encoder().encode


def apply(model: Model, transition: Transition) -> Answer:
    """Apply a transition whole, or not at all, and answer for it."""
    answer = _guard(model, transition)
    if answer is not None:
        return answer
    versions = {put.key: version for put in transition.put if (version := _put(model, put))}
    for drop in transition.drop:
        _drop(model, drop)
    offsets = {append.log: _append(model, append) for append in transition.append}
    for trim in transition.trim:
        log = model.logs[trim.log]
        log.trimmed = max(log.trimmed, min(trim.upto, log.last + len(log.new) - 1))
    for message in transition.publish:
        model.add(message)
    fired = [join.name for join in transition.join if _make(model, join)]
    fired += [arrive.join for arrive in transition.arrive if _arrive(model, arrive)]
    cancelled = [each.id for each in transition.cancel if _cancel(model, each)]
    flagged = [each.id for each in transition.cancel if _flag(model, each)]
    for update in transition.update:
        _update(model, update)
    for revive in transition.revive:
        _revive(model, revive)
    for each in transition.remove:
        if (job := model.job(each.id)) is not None and job.final:
            model.remove(job)
    if transition.fence is not None and transition.settle is not None:
        _settle(model, transition, transition.fence)
    return Answer(
        status="applied",
        versions=versions,
        offsets=offsets,
        fired=tuple(fired),
        cancelled=tuple(cancelled),
        flagged=tuple(flagged),
    )


def end_flagged(model: Model, job: Job) -> None:
    """End a job that was to be cancelled, when its lease is over."""
    keep = job.keep_cancelled
    if job.state == _RUNNING and keep is not None and (job.lease_until or 0.0) <= model.now:
        model.end(job, State.CANCELLED, keep)
        job.settled = None


def expire(model: Model, job: Job, keep: Keep) -> None:
    """End a job that waits past its time."""
    if job.state == _QUEUED and job.expires is not None and job.expires <= model.now:
        job.error = error_of(NOT_STARTED)
        job.settled = None
        model.end(job, State.EXPIRED, keep.failure)
        if job.queue in keep.noted:
            _put(model, Put(late_key(job.id), b""))


# -- guards -------------------------------------------------------------------------------


def _guard(model: Model, transition: Transition) -> Answer | None:
    if transition.fence is not None:
        answer = _guard_fence(model, transition.fence, transition)
        if answer is not None:
            return answer
    for key, version in transition.expect.items():
        if model.version(key) != version:
            return _refused(model, "conflict", key)
    first: dict[str, Message] = {}
    for message in transition.publish:
        job = model.job(message.id)
        same = job.is_of(message) if job else first.setdefault(message.id, message) == message
        if not same:
            return _refused(model, "duplicate", job_key(message.id))
    if (late := _in_wrong_state(model, transition)) is not None:
        return _refused(model, "conflict", job_key(late))
    only_publishes = transition.fence is None and is_plain(transition)
    if only_publishes and transition.publish and not first:
        return REPEATED
    return _guard_room(model, transition, Counter(each.queue for each in first.values()))


def _guard_room(model: Model, transition: Transition, fresh: Mapping[str, int]) -> Answer | None:
    for queue, most in transition.room.items():
        waiting = model.depths[queue]
        if queue in fresh and waiting + fresh[queue] > most:
            key = queue_name(queue)
            return Answer(status="refused", reason="full", key=key, current=waiting)
    return None


def _guard_fence(model: Model, fence: Fence, transition: Transition) -> Answer | None:
    job = model.job(fence.id)
    if job is None:
        if digest(transition) in model.repeated:
            return REPEATED
    elif (job.attempt, job.holder) == (fence.attempt, fence.holder):
        if job.state == _RUNNING:
            return None
        if job.settled == digest(transition):
            return REPEATED
    return _refused(model, "lost", job_key(fence.id))


def _in_wrong_state(model: Model, transition: Transition) -> str | None:
    for update in transition.update:
        if (job := model.job(update.id)) is None or job.state != _QUEUED:
            return update.id
    for revive in transition.revive:
        if (job := model.job(revive.id)) is None or not job.final:
            return revive.id
    for remove in transition.remove:
        if (job := model.job(remove.id)) is not None and not job.final:
            return remove.id
    return None


def _refused(model: Model, reason: str, key: str) -> Answer:
    current = model.version(key)
    return Answer(status="refused", reason=reason, key=key, current=current)  # type: ignore[arg-type]


# -- records, logs, joins -------------------------------------------------------------------


def _put(model: Model, put: Put) -> int | None:
    if not _is_open_to(model, put.key, put.if_owner):
        return None
    # Also after its time: whoever read the old one must not take the new one for it.
    old = model.records.get(put.key)
    version = old.version + 1 if old and not old.dropped else 1
    expires = None if put.ttl is None else model.now + put.ttl
    model.records[put.key] = Kept(version, expires, put.owner, put.value, changed=True)
    model.changed.add(put.key)
    return version


def _drop(model: Model, drop: Drop) -> None:
    record = model.record(drop.key)
    if record is not None and _is_open_to(model, drop.key, drop.if_owner):
        record.dropped = record.changed = True
        model.changed.add(drop.key)


def _is_open_to(model: Model, key: str, owner: str | None) -> bool:
    record = model.record(key)
    return owner is None or record is None or record.owner == owner


def _append(model: Model, append: Append) -> int:
    log = model.logs[append.log]
    log.new.append(append.value)
    model.changed.add(log_name(append.log))
    return log.last + len(log.new)


def _make(model: Model, join: Join) -> bool:
    state = model.joins.setdefault(join.name, Joined())
    if state.fired:
        return False
    if state.need is None:
        state.need, state.messages = join.need, _encode(join.then)
        model.then[join.name] = join.then
    state.need = max(state.need, join.need)
    state.purge, state.changed = model.now + OPEN_KEPT, True
    return _fire(model, join.name, state)


def _arrive(model: Model, arrive: Arrive) -> bool:
    state = model.joins.setdefault(arrive.join, Joined())
    member = arrive.join, arrive.member
    if state.fired or member in model.members:
        return False
    model.members.add(member)
    model.new_members.append(member)
    state.arrived += 1
    state.purge, state.changed = state.purge or model.now + OPEN_KEPT, True
    return _fire(model, arrive.join, state)


def _fire(model: Model, name: str, state: Joined) -> bool:
    if not state.completes():
        return False
    state.fired, state.messages, state.purge = True, None, model.now + FIRED_KEPT
    for message in model.then.pop(name):
        model.add(message)
    return True


# -- jobs -----------------------------------------------------------------------------------


def _cancel(model: Model, cancel: Cancel) -> bool:
    job = model.job(cancel.id)
    if job is None or job.state != _QUEUED:
        return False
    model.end(job, State.CANCELLED, cancel.keep)
    job.settled = None
    return True


def _flag(model: Model, cancel: Cancel) -> bool:
    job = model.job(cancel.id)
    if job is None or job.state != _RUNNING:
        return False
    job.keep_cancelled = cancel.keep
    model.touch(job)
    model.changed.add(holder_name(job.holder or ""))
    return True


def _update(model: Model, update: Update) -> None:
    job = model.jobs[update.id]
    if update.due is not None:
        job.place, job.due = update.due, None
    if update.body is not None:
        job.body = update.body
    if update.band is not None:
        job.band = update.band
    if update.queue not in {None, job.queue}:
        model.leave(job)
        model.depths[job.queue] -= 1
        job.queue = update.queue or ""
        model.depths[job.queue] += 1
        model.enter(job)
    elif job.lane != BY_KEY:
        job.lane = lane_of(job.band, limited=job.limited_by is not None)
        job.waits_for = job.rank = None
    model.touch(job)
    model.changed.add(queue_name(job.queue))


def _revive(model: Model, revive: Revive) -> None:
    job = model.job(revive.id)
    if job is None or not job.final:
        return
    message = revive.message or job.message()
    job.task, job.queue, job.band = message.task, message.queue, message.band
    job.key, job.kind, job.body = message.key, KIND_NUMBERS[message.kind], message.body
    job.head, job.limited_by = head_of(message), limits_of(message)
    job.state, job.settled, job.finished, job.value = _QUEUED, None, None, None
    job.failures = job.losses = job.unknown = 0
    job.releases = job.attempt
    job.enqueued, job.expires = model.now, message.expiry(model.now)
    job.place, job.due = model.now if revive.due is None else revive.due, None
    model.depths[job.queue] += 1
    model.enter(job)
    model.touch(job)
    model.changed.add(queue_name(job.queue))


def _settle(model: Model, transition: Transition, fence: Fence) -> None:
    job, settle = model.jobs[fence.id], transition.settle
    assert settle is not None
    _charge(job, settle.counts)
    match settle:
        case Finish():
            job.value = settle.value
            job.error = error_of(settle.error)
            model.end(job, settle.state, settle.keep)
        case Reject():
            job.error = error_of(settle.failure())
            model.end(job, State.QUARANTINED, settle.keep)
        case Release() if job.keep_cancelled is not None:
            job.error = error_of(settle.error)
            model.end(job, State.CANCELLED, job.keep_cancelled)
        case Release():
            _release(model, job, settle)
    job.settled = digest(transition)
    if not isinstance(settle, Release) and settle.keep <= 0:
        model.unkept[job.settled] = fence.holder
        model.repeated.add(job.settled)
        model.remove(job)


def _release(model: Model, job: Job, release: Release) -> None:
    model.give_back(job)
    job.state, job.error, job.lease_until = _QUEUED, error_of(release.error), None
    if release.at is not None:
        job.place, job.due = release.at, None
    elif release.delay is not None:
        job.place, job.due = model.now + release.delay, None
    model.depths[job.queue] += 1
    model.touch(job)
    model.changed.add(queue_name(job.queue))


def _charge(job: Job, counts: str) -> None:
    if counts != "none":
        setattr(job, counts, getattr(job, counts) + 1)
    if counts == "unknown":
        job.releases += 1
