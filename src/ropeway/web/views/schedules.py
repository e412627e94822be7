"""Schedules: in words, what is next, what has been; and one of them."""

from __future__ import annotations

import time

from ropeway.cron.expression import cron_of
from ropeway.cron.lint import findings
from ropeway.operate.schedule import when
from ropeway.schedules.changing import all_schedules, find
from ropeway.schedules.looking import Kept, history, upcoming
from ropeway.schedules.record import Schedule
from ropeway.web.at import At, Shown

_STRIP, _NEXT, _HISTORY = 24, 20, 100


async def schedules(at: At) -> Shown:
    """List the schedules, with a strip of what became of their last times."""
    found = await all_schedules(at.store, "")
    strips = {each.name: (await history(at.store, each.name, _STRIP))[::-1] for each in found}
    return Shown(
        template="schedules.html",
        title=at.words("Schedules"),
        values={
            "schedules": found,
            "strips": {
                name: [(kept, sign(kept)) for kept in strip] for name, strip in strips.items()
            },
            "told": {each.name: in_words(each) for each in found},
            "now": await at.store.now(),
        },
    )


async def schedule(at: At) -> Shown:
    """Show one schedule: its next times, with notes where clocks change, and its history."""
    found = await find(at.store, at.params["name"])
    kept = await history(at.store, found.name, _HISTORY)
    return Shown(
        template="schedule.html",
        title=found.name,
        values={
            "schedule": found,
            "says": in_words(found),
            "raw": when(found.timetable),
            "coming": upcoming(found, _NEXT),
            "history": [(each, sign(each)) for each in kept],
            "notes": list(findings(found.timetable, time.time())),
            "now": await at.store.now(),
        },
    )


def in_words(schedule: Schedule) -> str:
    """Say when a schedule is due."""
    table = schedule.timetable
    return when(table) if table.cron is None else cron_of(table.cron, table.seconds).explain()


def sign(kept: Kept) -> str:
    """Return the state that stands for what became of an instant."""
    if kept.decision in {"skipped", "missed"}:
        return "expired"
    return "queued" if kept.state is None else kept.state.value
