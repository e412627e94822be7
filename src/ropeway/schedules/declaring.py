"""What the code of an app declares: a deploy brings it into force, and takes back what is gone."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway.cron.timetable import Timetable
from ropeway.message import Message
from ropeway.schedules.changing import all_schedules, made, remove, replaced
from ropeway.schedules.record import Schedule, decode, key_of, put, stamp
from ropeway.store import Store
from ropeway.transition import Transition

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class Declared(Struct, frozen=True, kw_only=True):
    """A schedule as the code of an app has it."""

    name: str
    timetable: Timetable
    message: Message


async def bring_into_force(store: Store, declared: Iterable[Declared], origin: str) -> list[str]:
    """Have what the code of `origin` declares be there, and nothing that it declared before.

    One that is declared as it was stays as it is, also where a person has changed it since; one
    that the code changes is as the code says, and stays paused if it was. Returns what has changed.
    """
    wanted = list(declared)
    changed = [each.name for each in wanted if await _declare(store, each, origin)]
    names = {each.name for each in wanted}
    for schedule in await all_schedules(store) if origin else ():
        if schedule.origin == origin and schedule.code is not None and schedule.name not in names:
            await remove(store, schedule.name, force=True)
            changed.append(schedule.name)
    return changed


async def _declare(store: Store, declared: Declared, origin: str) -> bool:
    code = _encode(declared)
    while True:
        now = await store.now()
        (record,) = await store.get([key_of(declared.name)])
        new = made(declared.name, declared.message, declared.timetable, now, by="code")
        new = replace(new, code=code, origin=origin)
        if record is None:
            guard = {key_of(declared.name): 0}
            (answer,) = await store.commit([Transition(expect=guard, put=(*put(new), stamp()))])
            if answer.ok:
                return True
            continue
        old = decode(record.value)
        if old.code == code and old.origin == origin:
            return False
        if await replaced(store, old, record, _instead(old, new, now)):
            return True


def _instead(old: Schedule, new: Schedule, now: float) -> Schedule:
    """Return a schedule as the code has it now; what was due stays due if the timetable stays."""
    kept = replace(
        old, message=new.message, code=new.code, origin=new.origin, version=old.version + 1
    )
    if old.timetable == new.timetable:
        return kept
    return replace(kept, timetable=new.timetable).begun(now)
