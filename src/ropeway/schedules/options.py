"""What people write of a schedule, and the timetable that it means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypedDict

from msgspec.structs import replace

from ropeway.cron.timetable import Missed, Overlap, Timetable, checked
from ropeway.errors import BadArguments, BadSchedule
from ropeway.options import Duration, duration


class Rest(TypedDict, total=False):
    """What a schedule takes beside when it is due; None leaves it as it is."""

    seconds: str | None
    every: Duration | None
    at: datetime | Iterable[datetime] | None
    timezone: str | None
    start: datetime | None
    end: datetime | None
    max_runs: int | None
    jitter: Duration | None
    missed: Missed | None
    missed_limit: int | None
    grace: Duration | None
    overlap: Overlap | None
    history: Duration | None


class Timed(Rest, total=False):
    """The same, with the cron expression by its name."""

    cron: str | None


def timetable_of(given: Mapping[str, Any], old: Timetable | None = None) -> Timetable:
    """Return the timetable that was asked for, as a change of `old`; raises `BadSchedule`.

    Who names another kind of when replaces the old one.
    """
    unknown = given.keys() - Timed.__optional_keys__
    if unknown:
        raise BadSchedule(
            f"schedules have no option {min(unknown)!r}",
            hint="there are: " + ", ".join(sorted(Timed.__optional_keys__)),
        )
    known = {name: value for name, value in given.items() if value is not None}
    base = old or Timetable()
    if old is not None and known.keys() & {"cron", "every", "at"}:
        base = replace(base, cron=None, seconds="", every=None, at=())
    try:
        return checked(replace(base, **{name: _READ[name](name, known[name]) for name in known}))
    except BadArguments as error:
        raise BadSchedule(error.fact, hint=error.hint) from None


def _plain(name: str, value: Any) -> Any:
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadSchedule(f"{name}={value!r:.60} is no text")
    return value


def _number(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadSchedule(f"{name}={value!r:.60} is no number")
    return value


def _instant(name: str, value: Any) -> float:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise BadSchedule(
            f"{name}={value!r:.60} is no date with a time zone",
            hint=f"write {name}=datetime(2030, 1, 31, 9, tzinfo=UTC)",
        )
    return value.timestamp()


def _instants(name: str, value: Any) -> tuple[float, ...]:
    if isinstance(value, datetime):
        return (_instant(name, value),)
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise BadSchedule(f"{name}={value!r:.60} is neither a date nor a list of dates")
    return tuple(sorted({_instant(name, each) for each in value}))


def _duration(name: str, value: Any) -> float:
    return duration(value, name)


_READ: dict[str, Any] = {
    **dict.fromkeys(("cron", "seconds", "timezone"), _text),
    **dict.fromkeys(("max_runs", "missed_limit"), _number),
    **dict.fromkeys(("start", "end"), _instant),
    **dict.fromkeys(("every", "jitter", "grace", "history"), _duration),
    **dict.fromkeys(("missed", "overlap"), _plain),
    "at": _instants,
}
