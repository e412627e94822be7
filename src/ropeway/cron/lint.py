"""What about a timetable may not be meant so: a pure look at it, for people."""

from __future__ import annotations

from itertools import islice

from ropeway.cron.expression import cron_of
from ropeway.cron.timetable import Timetable, instants
from ropeway.cron.zones import told_of_change, zone_of

_YEAR = 366 * 86_400.0
_STEPS = {0: 60, 1: 24}
_OFTEN = 60.0


def findings(table: Timetable, now: float) -> list[str]:
    """Return what a person should look at, each in a sentence."""
    found = _of_expression(table) if table.cron is not None else []
    first = list(islice(instants(table, now), 2))
    if not first:
        found.append("it will never fire: no instant of it is ahead")
    elif first[0] > now + _YEAR:
        found.append("it fires more than a year from now")
    if len(first) > 1:
        period = first[1] - first[0]
        if table.jitter >= period:
            found.append("its jitter is as long as the time between two instants")
        if table.overlap == "allow" and period < _OFTEN:
            found.append("it fires within a minute again, and overlap=allow lets its jobs pile up")
    return found + _of_clocks(table, now)


def _of_expression(table: Timetable) -> list[str]:
    assert table.cron is not None
    fields = cron_of(table.cron, table.seconds).fields[1:]
    found: list[str] = []
    for place, whole in _STEPS.items():
        base, _, step = fields[place].partition("/")
        if base == "*" and step and whole % int(step):
            what = "hour" if place == 0 else "day"
            found.append(
                f"*/{step} begins anew with each {what}, so the last interval of it is shorter"
            )
    day, weekday = fields[2], fields[4]
    if not day.startswith("*") and not weekday.startswith("*"):
        found.append(
            "it fires on the days of the month and on the days of the week: either will do"
        )
    return found


def _of_clocks(table: Timetable, now: float) -> list[str]:
    """Return the notes of the next year in which clocks are changed, at most two."""
    if table.cron is None:
        return []
    cron, zone = cron_of(table.cron, table.seconds), zone_of(table.timezone)
    if cron.elapsed:
        return []
    ahead = islice(instants(table, now), 800)
    notes = (told_of_change(cron, zone, each) for each in ahead if each < now + _YEAR)
    return list(islice((note for note in notes if note), 2))
