"""The records of schedules: what each is, what is due next, and what became of each instant.

A schedule is one record. While it is active another one says when it is due, by its key, so that
what is due soon is a range of keys. Each instant that was decided leaves a record for a while.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway.cron.ticking import Decided
from ropeway.cron.timetable import Timetable, due_of, iso, next_after
from ropeway.ids import derived_id, first_id
from ropeway.message import INSTANT_HEADER, SCHEDULE_HEADER, Message
from ropeway.transition import Drop, Put

PREFIX, DUE, TICKS = "schedule/", "due/", "tick/"
STAMP = "schedules"
"""The record that changes with every change that a person or a deploy makes: workers wait for it."""

_LAST = 10**18
_MISSED = "m"
_LEAST_HISTORY, _MOST_TICKS = 3_600.0, 1_000

ScheduleState = Literal["active", "paused", "finished"]

_encode = msgspec.msgpack.Encoder().encode


class Schedule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A schedule as it is kept: a call, a timetable, and how far it has come.

    Nothing up to `cursor` is decided again; `upcoming` is the next instant, due at `due`. `version`
    grows with every change of it, `runs` with every job it has sent, of which `last` is the last.
    `code` is what the code of `origin` declared, None if it was added at run time.
    """

    name: str
    timetable: Timetable
    message: Message
    cursor: float
    upcoming: float | None = None
    version: int = 1
    runs: int = 0
    last: str = ""
    last_instant: float | None = None
    paused: bool = False
    paused_by: str = ""
    paused_since: float | None = None
    why: str = ""
    made: float = 0.0
    by: str = ""
    code: bytes | None = None
    origin: str = ""

    @property
    def state(self) -> ScheduleState:
        """Whether it is active, paused, or has nothing more to do."""
        if self.paused:
            return "paused"
        return "finished" if self.upcoming is None else "active"

    @property
    def due(self) -> float | None:
        """When it is due next; None while it is paused, and when it has finished."""
        if self.paused or self.upcoming is None:
            return None
        return due_of(self.timetable, self.name, self.upcoming)

    def begun(self, now: float) -> Schedule:
        """Return it as it goes on from now: what was due before is not made up for."""
        cursor = max(now, self.cursor)
        table = self.timetable
        over = table.max_runs is not None and self.runs >= table.max_runs
        upcoming = None if over else next_after(table, cursor)
        return replace(self, cursor=cursor, upcoming=upcoming, version=self.version + 1)


class Tick(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of an instant of a schedule; `job` is the job that was sent for it, if any."""

    schedule: str
    decided: Decided
    at: float
    job: str = ""
    version: int = 1


def key_of(name: str) -> str:
    """Return the key of a schedule's record."""
    return PREFIX + name


def due_key(due: float, name: str) -> str:
    """Return the key that says when a schedule is due: they sort by time."""
    return f"{DUE}{max(0, round(due * 1e6)):018d}/{name}"


def due_at(key: str) -> tuple[float, str]:
    """Read when, and what, from such a key."""
    digits, _, name = key.removeprefix(DUE).partition("/")
    return int(digits) / 1e6, name


def ticks_of(name: str) -> str:
    """Return what the keys of a schedule's history begin with; the newest comes first."""
    return f"{TICKS}{name}/"


def tick_key(name: str, decided: Decided, job: str = "") -> str:
    """Return the key of what became of an instant. Calls by hand may share an instant."""
    mark = {"missed": _MISSED, "by_hand": job}.get(decided.decision, "")
    return f"{ticks_of(name)}{_LAST - round(decided.instant * 1e6):018d}/{mark}"


def job_of(name: str, instant: float) -> str:
    """Return the id of the job of an instant: the same, whoever sends it."""
    return derived_id(first_id(instant), f"schedule/{name}/{iso(instant)}")


def message_of(schedule: Schedule, job_id: str, instant: float) -> Message:
    """Return the message that is sent for an instant.

    Where runs must not overlap it has a key, unless its call has one, so that none does.
    """
    message, told = schedule.message, {}
    if schedule.timetable.overlap in {"queue_one", "cancel_running"} and message.key is None:
        told["key"] = f"schedule/{schedule.name}"
    headers = {SCHEDULE_HEADER: schedule.name, INSTANT_HEADER: iso(instant)}
    return replace(message, id=job_id, headers=message.headers | headers, **told)


def put(schedule: Schedule) -> tuple[Put, ...]:
    """Return what writes a schedule, and when it is due."""
    written = Put(key_of(schedule.name), _encode(schedule))
    if schedule.due is None:
        return (written,)
    return written, Put(due_key(schedule.due, schedule.name), b"")


def put_tick(tick: Tick, table: Timetable) -> Put:
    """Return what writes an instant into the history: for some time, and of many the newest."""
    following = next_after(table, tick.decided.instant)
    period = (following or 1e12) - tick.decided.instant
    ttl = min(table.history, max(_LEAST_HISTORY, period * _MOST_TICKS))
    return Put(tick_key(tick.schedule, tick.decided, tick.job), _encode(tick), ttl=max(1.0, ttl))


def drop_due(schedule: Schedule) -> tuple[Drop, ...]:
    """Return what removes the record of when a schedule is due."""
    return () if schedule.due is None else (Drop(due_key(schedule.due, schedule.name)),)


def stamp() -> Put:
    """Return what has workers look at once."""
    return Put(STAMP, b"")


def decode(value: bytes) -> Schedule:
    """Read a schedule from its record."""
    return msgspec.msgpack.decode(value, type=Schedule)


def decode_tick(value: bytes) -> Tick:
    """Read an instant of the history."""
    return msgspec.msgpack.decode(value, type=Tick)


def as_date(instant: float | None) -> datetime | None:
    """Return an instant as a date in UTC."""
    return None if instant is None else datetime.fromtimestamp(instant, UTC)
