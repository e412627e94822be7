"""Looking at schedules: what is next, and what has been."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice

import msgspec
from msgspec import Struct

from ropeway.cron.expression import cron_of
from ropeway.cron.ticking import Decision
from ropeway.cron.timetable import Timetable, due_of, instants
from ropeway.cron.zones import told_of_change, zone_of
from ropeway.message import JobRecord, job_key
from ropeway.schedules.record import (
    Schedule,
    Tick,
    as_date,
    decode,
    decode_tick,
    drop_due,
    key_of,
    ticks_of,
)
from ropeway.states import State
from ropeway.store import Store
from ropeway.transition import Drop, Record, Remove, Transition

_PAGE = 500
_decode_job = msgspec.msgpack.Decoder(JobRecord).decode


class Upcoming(Struct, frozen=True, kw_only=True):
    """One time that a schedule will fire: in its zone, with jitter, and a word where clocks change."""

    at: datetime
    due: datetime
    note: str = ""


class Kept(Struct, frozen=True, kw_only=True):
    """An instant of the past, or `count` missed ones from `first` on: what was decided, and why.

    `job` was sent for it, `state` is how that is now, None if nothing of it is kept. `late` are the
    seconds from when it was due to the decision.
    """

    at: datetime
    decision: Decision
    late: float
    decided: datetime
    job: str | None = None
    state: State | None = None
    first: datetime | None = None
    count: int = 1
    whole: bool = True
    why: str = ""


def upcoming(schedule: Schedule, number: int) -> list[Upcoming]:
    """Return the next times of a schedule, as if it were not paused."""
    if schedule.upcoming is None:
        return []
    table, first = schedule.timetable, schedule.upcoming
    left = number if table.max_runs is None else min(number, table.max_runs - schedule.runs)
    found = [first, *islice(instants(table, first), max(0, left - 1))]
    return listed(table, schedule.name, found[: max(0, left)])


def listed(table: Timetable, name: str, found: Sequence[float]) -> list[Upcoming]:
    """Return instants as people are shown them."""
    zone = zone_of(table.timezone)
    return [
        Upcoming(
            at=datetime.fromtimestamp(each, zone),
            due=datetime.fromtimestamp(due_of(table, name, each), zone),
            note=_note(table, each),
        )
        for each in found
    ]


def _note(table: Timetable, instant: float) -> str:
    if table.cron is None:
        return ""
    cron = cron_of(table.cron, table.seconds)
    return told_of_change(cron, zone_of(table.timezone), instant)


async def history(store: Store, name: str, last: int) -> list[Kept]:
    """Return what became of the last instants, the newest first, with their jobs as they are now."""
    records: list[Record] = []
    while len(records) < last:
        after = records[-1].key if records else ""
        page = await store.scan(ticks_of(name), after, min(_PAGE, last - len(records)))
        if not page:
            break
        records += page
    ticks = [decode_tick(each.value) for each in records]
    jobs = await _jobs(store, ticks)
    return [_kept(each, jobs.get(each.job)) for each in ticks]


async def clear(store: Store, name: str) -> int:
    """Remove what has finished: instants with their ended jobs; return how many.

    What waits or runs stays, and so does the schedule, unless it has finished and nothing of it is
    left.
    """
    removed, after, left = 0, "", False
    while page := await store.scan(ticks_of(name), after, _PAGE):
        after = page[-1].key
        ticks = [decode_tick(each.value) for each in page]
        jobs = await _jobs(store, ticks)
        changes = [
            _clearing(record, tick, jobs.get(tick.job))
            for record, tick in zip(page, ticks, strict=True)
        ]
        done = [each for each in changes if each is not None]
        answers = await store.commit(done) if done else []
        removed += sum(answer.ok for answer in answers)
        left |= len(done) < len(page) or not all(answer.ok for answer in answers)
    if not left:
        await _remove_finished(store, name)
    return removed


def _clearing(record: Record, tick: Tick, job: JobRecord | None) -> Transition | None:
    if job is not None and not job.state.final:
        return None
    remove = (Remove(tick.job),) if job is not None else ()
    return Transition(expect={record.key: record.version}, drop=(Drop(record.key),), remove=remove)


async def _remove_finished(store: Store, name: str) -> None:
    (record,) = await store.get([key_of(name)])
    schedule = decode(record.value) if record else None
    # What the code declares would only come again.
    if record and schedule and schedule.state == "finished" and schedule.code is None:
        drop = (Drop(record.key), *drop_due(schedule))
        await store.commit([Transition(expect={record.key: record.version}, drop=drop)])


async def _jobs(store: Store, ticks: Sequence[Tick]) -> dict[str, JobRecord]:
    ids = [each.job for each in ticks if each.job]
    found = await store.get([job_key(each) for each in ids]) if ids else []
    return {
        job_id: _decode_job(record.value)
        for job_id, record in zip(ids, found, strict=True)
        if record is not None
    }


def _kept(tick: Tick, job: JobRecord | None) -> Kept:
    decided = tick.decided
    at, when = as_date(decided.instant), as_date(tick.at)
    assert at is not None and when is not None
    return Kept(
        at=at,
        decision=decided.decision,
        late=decided.late,
        decided=when,
        job=tick.job or None,
        state=job.state if job is not None else None,
        first=as_date(decided.first),
        count=decided.count,
        whole=decided.whole,
        why=decided.why,
    )
