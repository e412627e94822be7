"""Changes of schedules by people, programs and deploys: each is one guarded step."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ropeway.cron.ticking import Decided
from ropeway.cron.timetable import Timetable, checked, instants
from ropeway.errors import BadSchedule, Refused, ScheduleNotFound
from ropeway.ids import new_id
from ropeway.message import Message
from ropeway.schedules.meant import meant
from ropeway.schedules.options import timetable_of
from ropeway.schedules.record import (
    PREFIX,
    Schedule,
    Tick,
    decode,
    drop_due,
    job_of,
    key_of,
    message_of,
    put,
    put_tick,
    stamp,
    tick_key,
)
from ropeway.store import Backend, Store
from ropeway.transition import Drop, Record, Transition

MOST_BACKFILLED = 100
"""Instants that are backfilled at once, unless more are asked for."""

_PAGE, _TRIES = 500, 100
_NAME = re.compile(r"[\w.:@+-]{1,200}")


async def find(store: Store, name: str) -> Schedule:
    """Return a schedule; raises `ScheduleNotFound`."""
    return (await _read(store, name))[0]


async def all_schedules(store: Store, prefix: str = "") -> list[Schedule]:
    """Return every schedule whose name begins so, by name."""
    found = list[Record]()
    while page := await store.scan(PREFIX + prefix, found[-1].key if found else "", _PAGE):
        found += page
    return [decode(each.value) for each in found]


async def add(store: Store, name: str, message: Message, timetable: Timetable, by: str) -> Schedule:
    """Make a schedule; raises `Refused` if there is one of that name, `BadSchedule` if it cannot be."""
    now = await store.now()
    new = made(name, message, timetable, now, by)
    if new.upcoming is None:
        raise BadSchedule(
            f"schedule {name!r} would never fire: no instant of it is ahead",
            hint="look at its dates, start and end",
        )
    (answer,) = await store.commit([Transition(expect={key_of(name): 0}, put=(*put(new), stamp()))])
    if not answer.ok:
        raise Refused(
            f"there is a schedule {name!r} already", hint=f"see: ropeway schedules show {name}"
        )
    return new


async def edit(
    store: Store, name: str, given: Mapping[str, Any], message: Message | None
) -> Schedule:
    """Change a schedule; it goes on from now by the new rules, and fires nothing at once."""

    def change(schedule: Schedule, now: float) -> Schedule:
        table = timetable_of(given, schedule.timetable)
        body = schedule.message if message is None else usable(message, name)
        changed = replace(schedule, timetable=table, message=body).begun(now)
        if changed.upcoming is None and not changed.paused and table != schedule.timetable:
            raise BadSchedule(f"schedule {name!r} would never fire: no instant of it is ahead")
        return changed

    return await _change(store, name, change)


async def pause(store: Store, name: str, *, by: str, why: str = "") -> Schedule:
    """Have a schedule fire nothing until `resume`, also what is due this moment."""

    def change(schedule: Schedule, now: float) -> Schedule:
        version = schedule.version + 1
        return replace(
            schedule, paused=True, paused_by=by, paused_since=now, why=why, version=version
        )

    return await _change(store, name, change)


async def resume(store: Store, name: str) -> Schedule:
    """Have a schedule go on from now; what was due meanwhile is not made up for."""

    def change(schedule: Schedule, now: float) -> Schedule:
        if not schedule.paused:
            return schedule
        open_again = replace(schedule, paused=False, paused_by="", paused_since=None, why="")
        return open_again.begun(now)

    return await _change(store, name, change)


async def remove(store: Store, name: str, *, force: bool = False) -> None:
    """Remove a schedule; its jobs and its history stay as long as they would.

    Raises `Refused` for one that the code of an app declares, unless it is forced.
    """
    while True:
        schedule, record = await _read(store, name)
        if schedule.code is not None and not force:
            raise Refused(
                f"schedule {name!r} is declared by the code of {schedule.origin}",
                hint="take it out of the code, or pause it",
            )
        drop = (Drop(record.key), *drop_due(schedule))
        guard = {record.key: record.version}
        (answer,) = await store.commit([Transition(expect=guard, drop=drop, put=(stamp(),))])
        if answer.ok:
            return


async def run_now(store: Backend, name: str) -> str:
    """Send its call now, whatever its timetable says; return the id of the job."""
    for _ in range(_TRIES):
        schedule, record = await _read(store, name)
        now, job_id = await store.now(), new_id()
        decided = Decided(instant=now, decision="by_hand")
        tick = Tick(schedule=name, decided=decided, at=now, job=job_id, version=schedule.version)
        new = replace(schedule, last=job_id, last_instant=now)
        transition = Transition(
            expect={record.key: record.version},
            put=(*put(new), put_tick(tick, schedule.timetable)),
            publish=(message_of(schedule, job_id, now),),
        )
        (answer,) = await store.commit([transition])
        if answer.ok:
            return job_id
        if answer.reason != "conflict":
            raise Refused(f"schedule {name!r} could not be run: {answer.reason}")
    raise _busy(name)


class Backfilled(Struct, frozen=True, kw_only=True):
    """What a backfill has sent, or would: instants, the jobs, and how many were there before."""

    instants: tuple[float, ...]
    jobs: tuple[str, ...] = ()
    there: int = 0


async def backfill(
    store: Backend, name: str, since: float, until: float, *, limit: int, dry_run: bool
) -> Backfilled:
    """Send the calls of past instants from `since` to `until`, those that have no job yet.

    Raises `Refused`, and sends nothing, if there are more than `limit`.
    """
    schedule = await find(store, name)
    until = min(until, await store.now())
    wanted = _past(schedule, since, until, limit)
    ticks = {each: _backfilled(schedule, each, until) for each in wanted}
    keys = {each: tick_key(name, tick.decided) for each, tick in ticks.items()}
    there = await store.get(list(keys.values())) if keys else []
    left = [each for each, record in zip(wanted, there, strict=True) if record is None]
    if dry_run:
        return Backfilled(instants=tuple(left), there=len(wanted) - len(left))
    transitions = [
        Transition(
            expect={keys[each]: 0},
            put=(put_tick(ticks[each], schedule.timetable),),
            publish=(message_of(schedule, ticks[each].job, each),),
        )
        for each in left
    ]
    answers = await store.commit(transitions) if transitions else []
    sent = [each for each, answer in zip(left, answers, strict=True) if answer.ok]
    jobs = tuple(ticks[each].job for each in sent)
    return Backfilled(instants=tuple(sent), jobs=jobs, there=len(wanted) - len(sent))


def _past(schedule: Schedule, since: float, until: float, limit: int) -> list[float]:
    found: list[float] = []
    for instant in instants(schedule.timetable, since - 1e-6):
        if instant > until:
            break
        found.append(instant)
        if len(found) > limit:
            raise Refused(
                f"schedule {schedule.name!r} has more than {limit:,} instants in that time",
                hint="name a shorter time, or a higher limit",
            )
    return found


def _backfilled(schedule: Schedule, instant: float, now: float) -> Tick:
    decided = Decided(instant=instant, decision="backfilled", late=now - instant)
    job = job_of(schedule.name, instant)
    return Tick(schedule=schedule.name, decided=decided, at=now, job=job, version=schedule.version)


def usable(message: Message, name: str) -> Message:
    """Return the call of a schedule without what belongs to one send; raises `BadSchedule`."""
    terms = message.terms
    for wrong, what in (
        (message.due is not None, "at="),
        (message.expires is not None, "a date as expires="),
        (terms is not None and terms.unique is not None, "unique="),
        (message.mandatory is not None, "exchange="),
    ):
        if wrong:
            raise BadSchedule(
                f"schedule {name!r}: its call has {what}, which cannot be repeated",
                hint="overlap= says what happens while a job before is there",
            )
    return replace(message, id="", trace=None)


def named(name: str) -> str:
    """Return a usable name, or raise `BadSchedule`."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadSchedule(
            f"{str(name)[:60]!r} is no name of a schedule",
            hint="letters, digits and . _ - : @ +, at most 200",
        )
    return name


def made(name: str, message: Message, table: Timetable, now: float, by: str) -> Schedule:
    """Return a new schedule that goes on from now; raises `BadSchedule`."""
    schedule = Schedule(
        name=named(name),
        timetable=checked(table),
        message=usable(message, name),
        cursor=now,
        version=0,
        made=now,
        by=by,
    )
    return schedule.begun(now)


async def _read(store: Store, name: str) -> tuple[Schedule, Record]:
    (record,) = await store.get([key_of(named(name))])
    if record is None:
        known = [each.name for each in await all_schedules(store)]
        raise ScheduleNotFound(f"there is no schedule {name!r}", hint=meant(name, known))
    return decode(record.value), record


async def _change(
    store: Store, name: str, change: Callable[[Schedule, float], Schedule]
) -> Schedule:
    for _ in range(_TRIES):
        schedule, record = await _read(store, name)
        new = change(schedule, await store.now())
        if new == schedule or await replaced(store, schedule, record, new):
            return new
    raise _busy(name)


async def replaced(store: Store, old: Schedule, record: Record, new: Schedule) -> bool:
    """Write a schedule in the place of what was read; False if it has changed meanwhile."""
    drop = drop_due(old) if new.due != old.due else ()
    transition = Transition(
        expect={record.key: record.version}, put=(*put(new), stamp()), drop=drop
    )
    (answer,) = await store.commit([transition])
    return answer.ok


def _busy(name: str) -> Refused:
    return Refused(f"schedule {name!r} is changed all the time by others", hint="try again")
