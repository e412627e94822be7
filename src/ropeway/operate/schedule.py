"""A schedule as plain values."""

from __future__ import annotations

from typing import Any

from ropeway.cron.timetable import Timetable
from ropeway.schedules.looking import Kept, Upcoming
from ropeway.schedules.record import Schedule
from ropeway.words import interval, iso

FIELDS = (
    "schedule",
    "state",
    "when",
    "timezone",
    "task",
    "queue",
    "next",
    "runs",
    "last",
    "last_job",
    "overlap",
    "missed",
    "paused_by",
    "why",
    "origin",
    "version",
)
"""What `summary` returns, for `--fields`."""

NEXT_FIELDS = ("at", "due", "note")
HISTORY_FIELDS = (
    "at",
    "decision",
    "job",
    "state",
    "late",
    "decided",
    "first",
    "count",
    "whole",
    "why",
)


def when(table: Timetable) -> str:
    """Say when it is due: the expression, the interval, or the dates."""
    if table.cron is not None:
        return f"{table.cron} (seconds {table.seconds})" if table.seconds else table.cron
    if table.every is not None:
        return f"every {interval(table.every)}"
    more = f" and {len(table.at) - 1} more" if len(table.at) > 1 else ""
    return f"at {iso(table.at[0])}{more}"


def summary(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule for JSON."""
    table = schedule.timetable
    return {
        "schedule": schedule.name,
        "state": schedule.state,
        "when": when(table),
        "timezone": table.timezone,
        "task": schedule.message.task,
        "queue": schedule.message.queue,
        "next": iso(schedule.due),
        "runs": schedule.runs,
        "last": iso(schedule.last_instant),
        "last_job": schedule.last or None,
        "overlap": table.overlap,
        "missed": table.missed,
        "paused_by": schedule.paused_by or None,
        "why": schedule.why or None,
        "origin": schedule.origin or None,
        "version": schedule.version,
    }


def upcoming(each: Upcoming) -> dict[str, Any]:
    """Return a time that comes for JSON."""
    return {"at": each.at.isoformat(), "due": each.due.isoformat(), "note": each.note or None}


def kept(each: Kept) -> dict[str, Any]:
    """Return an instant of the past for JSON."""
    return {
        "at": each.at.isoformat(),
        "decision": each.decision,
        "job": each.job,
        "state": None if each.state is None else str(each.state),
        "late": round(each.late, 3),
        "decided": each.decided.isoformat(),
        "first": None if each.first is None else each.first.isoformat(),
        "count": each.count,
        "whole": each.whole,
        "why": each.why or None,
    }
