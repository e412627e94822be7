"""Firing: the messages of instants that have come, each in one step with the schedule's cursor."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway.cron.ticking import Decided, Open, Step, decide
from ropeway.cron.timetable import due_of
from ropeway.message import JobRecord, job_key
from ropeway.schedules.record import (
    Schedule,
    Tick,
    decode,
    drop_due,
    due_at,
    due_key,
    job_of,
    key_of,
    message_of,
    put,
    put_tick,
)
from ropeway.states import State
from ropeway.store import Store
from ropeway.transition import Cancel, Drop, Record, Transition

_decode_job = msgspec.msgpack.Decoder(JobRecord).decode


class Fired(Struct, frozen=True, kw_only=True):
    """Ids of the jobs that were sent, and from when on there may be something more to do."""

    jobs: tuple[str, ...] = ()
    soonest: float = math.inf


async def fire(store: Store, keys: Sequence[str], now: float) -> Fired:
    """Decide about the schedules that are due by these keys; `now` is the store's clock.

    Each is one transition, refused if anybody else has changed the schedule: then it is theirs.
    """
    records = await store.get([key_of(due_at(key)[1]) for key in keys])
    found = [(decode(each.value), each) if each else None for each in records]
    lasts = await last_jobs(store, [each[0] for each in found if each])
    changes = [_change(each, key, now, lasts) for each, key in zip(found, keys, strict=True)]
    answers = await store.commit([transition for transition, _ in changes])
    jobs, soonest = list[str](), math.inf
    for (transition, step), answer, each in zip(changes, answers, found, strict=True):
        if answer.ok:
            jobs += [message.id for message in transition.publish]
            soonest = min(soonest, _soonest(each, step))
        else:
            if answer.reason == "duplicate" and each and step:
                jobs += await _without_known(store, each, step, now)
            soonest = now
    return Fired(jobs=tuple(jobs), soonest=soonest)


def _soonest(found: tuple[Schedule, Record] | None, step: Step | None) -> float:
    if found is None or step is None or step.next is None:
        return math.inf
    return due_of(found[0].timetable, found[0].name, step.next)


async def last_jobs(store: Store, schedules: Sequence[Schedule]) -> dict[str, Open]:
    """Return how far the last jobs are, by their ids, of schedules that ask for it."""
    ids = [each.last for each in schedules if each.timetable.overlap != "allow" and each.last]
    jobs = await store.get([job_key(each) for each in ids]) if ids else []
    return {job_id: _open(job) for job_id, job in zip(ids, jobs, strict=True)}


def _open(record: Record | None) -> Open:
    state = None if record is None else _decode_job(record.value).state
    return {State.QUEUED: "waiting", State.RUNNING: "running"}.get(state, "none")  # type: ignore[arg-type,return-value]


def _change(
    found: tuple[Schedule, Record] | None, key: str, now: float, lasts: dict[str, Open]
) -> tuple[Transition, Step | None]:
    """Return what to commit for a key; one that nobody needs any more is removed."""
    if found is None or found[0].due is None or due_key(found[0].due, found[0].name) != key:
        guard = {key_of(due_at(key)[1]): found[1].version if found else 0}
        return Transition(expect=guard, drop=(Drop(key),)), None
    schedule, record = found
    assert schedule.upcoming is not None
    last = lasts.get(schedule.last, "none")
    step = decide(schedule.timetable, schedule.name, schedule.upcoming, schedule.runs, now, last)
    return transition_of(schedule, record, step, now), step


def transition_of(
    schedule: Schedule, record: Record, step: Step, now: float, known: frozenset[str] = frozenset()
) -> Transition:
    """Return the one change that a decision is: messages, cursor, history and what is due next.

    Jobs that are `known` were sent before.
    """
    fired = [each for each in step.decided if each.decision == "fired"]
    ids = {each.instant: job_of(schedule.name, each.instant) for each in fired}
    new = replace(
        schedule,
        cursor=max(step.cursor, schedule.cursor),
        upcoming=step.next,
        runs=step.runs,
        last=ids[fired[-1].instant] if fired else schedule.last,
        last_instant=fired[-1].instant if fired else schedule.last_instant,
    )
    ticks = [_tick(schedule, each, now, ids) for each in step.decided]
    fresh = [each for each in fired if ids[each.instant] not in known]
    cancel = step.cancel and schedule.last not in {"", *ids.values()}
    return Transition(
        expect={key_of(schedule.name): record.version},
        put=(*put(new), *(put_tick(each, schedule.timetable) for each in ticks)),
        drop=drop_due(schedule) if new.due != schedule.due else (),
        publish=tuple(message_of(schedule, ids[each.instant], each.instant) for each in fresh),
        cancel=(Cancel(schedule.last),) if cancel else (),
    )


def _tick(schedule: Schedule, decided: Decided, now: float, ids: dict[float, str]) -> Tick:
    job = ids[decided.instant] if decided.decision == "fired" else ""
    return Tick(schedule=schedule.name, decided=decided, at=now, job=job, version=schedule.version)


async def _without_known(
    store: Store, found: tuple[Schedule, Record], step: Step, now: float
) -> list[str]:
    """Commit again without the jobs that are there already: a backfill was before, say."""
    schedule, record = found
    fired = [job_of(schedule.name, e.instant) for e in step.decided if e.decision == "fired"]
    jobs = await store.get([job_key(each) for each in fired])
    known = frozenset(each for each, job in zip(fired, jobs, strict=True) if job)
    if not known:  # it went meanwhile: the next look decides
        return []
    transition = transition_of(schedule, record, step, now, known)
    (answer,) = await store.commit([transition])
    return [each.id for each in transition.publish] if answer.ok else []
