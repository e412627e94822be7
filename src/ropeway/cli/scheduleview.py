"""Schedules as people are shown them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ropeway.cli.listing import Drawn
from ropeway.cli.table import Column
from ropeway.cron.timetable import Timetable
from ropeway.operate.schedule import when
from ropeway.schedules.looking import Kept, Upcoming
from ropeway.schedules.record import Schedule
from ropeway.words import NOTHING, date, duration, interval, relative

_COLUMNS = (
    Column(heading="SCHEDULE", least=12),
    Column(heading="STATE"),
    Column(heading="WHEN", least=12),
    Column(heading="ZONE", least=6, optional=3),
    Column(heading="TASK", least=12, optional=1),
    Column(heading="NEXT"),
    Column(heading="LAST", optional=2),
    Column(heading="RUNS", right=True, optional=4),
)
_NEXT_COLUMNS = (Column(heading="AT"), Column(heading="NOTE"))
_HISTORY_COLUMNS = (
    Column(heading="AT"),
    Column(heading="DECISION"),
    Column(heading="LATE", right=True),
    Column(heading="STATE"),
    Column(heading="JOB"),
    Column(heading="WHY", least=12, optional=1),
)


def drawn(found: Sequence[Schedule], now: float) -> Drawn:
    """Return the table of a list of schedules."""
    return Drawn(_COLUMNS, [_row(each, now) for each in found])


def _row(schedule: Schedule, now: float) -> list[str]:
    due, last = schedule.due, schedule.last_instant
    return [
        schedule.name,
        schedule.state,
        when(schedule.timetable),
        schedule.timetable.timezone,
        schedule.message.task,
        NOTHING if due is None else relative(now - due),
        NOTHING if last is None else relative(now - last),
        str(schedule.runs),
    ]


def drawn_next(found: Sequence[Upcoming]) -> Drawn:
    """Return the table of times that come, in the zone of the schedule."""
    return Drawn(_NEXT_COLUMNS, [[f"{each.at:%Y-%m-%d %H:%M:%S %Z}", each.note] for each in found])


def drawn_history(found: Sequence[Kept]) -> Drawn:
    """Return the table of instants of the past."""
    return Drawn(_HISTORY_COLUMNS, [_history_row(each) for each in found])


def _history_row(each: Kept) -> list[str]:
    plus = "" if each.whole else "+"
    times = f" ({each.count}{plus})" if each.decision == "missed" else ""
    return [
        date(each.at.timestamp()),
        f"{each.decision}{times}",
        duration(each.late),
        NOTHING if each.state is None else str(each.state),
        each.job or NOTHING,
        each.why,
    ]


def page(
    schedule: Schedule, upcoming: Sequence[Upcoming], found: Sequence[Kept], now: float
) -> str:
    """Write all that is known of one schedule."""
    table, message = schedule.timetable, schedule.message
    lines = {
        "schedule": schedule.name,
        "state": _state(schedule, now),
        "when": f"{when(table)}, {table.timezone}",
        "bounds": _bounds(table),
        "call": f"{message.task} in queue {message.queue}",
        "body": message.body[:500].decode(errors="replace"),
        "overlap": table.overlap,
        "missed": f"{table.missed} after {interval(table.grace)}",
        "made": f"{date(schedule.made)} by {schedule.by or '?'}, version {schedule.version}",
        "code": f"of {schedule.origin}" if schedule.origin else "does not declare it",
        "runs": str(schedule.runs),
        "next": "".join(f"\n           {_coming(each)}" for each in upcoming) or NOTHING,
        "history": "".join(f"\n           {'  '.join(_history_row(each))}" for each in found),
    }
    return "\n".join(f"{name:<10} {text}".rstrip() for name, text in lines.items() if text)


def _coming(each: Upcoming) -> str:
    return f"{each.at:%Y-%m-%d %H:%M:%S %Z}  {each.note}".rstrip()


def _state(schedule: Schedule, now: float) -> str:
    if not schedule.paused:
        return schedule.state
    since = "" if schedule.paused_since is None else f", {relative(now - schedule.paused_since)}"
    why = f": {schedule.why}" if schedule.why else ", no reason given"
    return f"paused by {schedule.paused_by or '?'}{since}{why}"


def _bounds(table: Timetable) -> str:
    bounds: list[tuple[str, Any]] = [
        ("from", None if table.start is None else date(table.start)),
        ("until", None if table.end is None else date(table.end)),
        ("runs at most", table.max_runs),
        ("jitter", interval(table.jitter) if table.jitter else None),
    ]
    return ", ".join(f"{name} {value}" for name, value in bounds if value is not None)
