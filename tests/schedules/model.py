"""Another reading of cron expressions, that looks at every minute there is: slow, and simple."""

from __future__ import annotations

import calendar
import functools
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

ZONES = (
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "Europe/Moscow",
    "Europe/Istanbul",
    "Europe/Lisbon",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Johannesburg",
    "Africa/Windhoek",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Phoenix",
    "America/Los_Angeles",
    "America/Anchorage",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/Asuncion",
    "America/Havana",
    "America/Caracas",
    "America/Godthab",
    "America/Mexico_City",
    "America/Bogota",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Asia/Gaza",
    "Asia/Amman",
    "Asia/Pyongyang",
    "Asia/Beirut",
    "Asia/Hovd",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Australia/Eucla",
    "Pacific/Apia",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Fiji",
    "Pacific/Norfolk",
    "Antarctica/Troll",
)

FIRST, LAST = datetime(2007, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


@functools.cache
def changes(name: str) -> list[datetime]:
    """Return the days of twenty years on which clocks of a zone are changed."""
    zone, found, day = ZoneInfo(name), [], FIRST
    while day < LAST:
        if (
            day.astimezone(zone).utcoffset()
            != (day + timedelta(days=1)).astimezone(zone).utcoffset()
        ):
            found.append(day)
        day += timedelta(days=1)
    return found


def values(field: str, place: int) -> set[int]:
    """Return the numbers that a field of plain values, ranges and steps means."""
    low, high = _RANGES[place]
    found: set[int] = set()
    for term in field.split(","):
        base, _, step = term.partition("/")
        if base == "*":
            first, last = low, high
        elif "-" in base:
            first, last = map(int, base.split("-"))
        else:
            first = int(base)
            last = high if step else first
        found |= set(range(first, last + 1, int(step or 1)))
    return found


def day_of_month(field: str) -> Callable[[date], bool]:
    """Return the test of the third field."""
    if field == "L":
        return lambda day: day.day == calendar.monthrange(day.year, day.month)[1]
    meant = values(field, 2)
    return lambda day: day.day in meant


def day_of_week(field: str) -> Callable[[date], bool]:
    """Return the test of the fifth field."""
    if "#" in field:
        which, _, number = field.partition("#")
        return lambda day: (
            day.isoweekday() % 7 == int(which) and (day.day - 1) // 7 == int(number) - 1
        )
    if field.endswith("L"):
        last = int(field[:-1])
        return lambda day: (
            day.isoweekday() % 7 == last and (day + timedelta(days=7)).month != day.month
        )
    meant = {value % 7 for value in values(field, 4)}
    return lambda day: day.isoweekday() % 7 in meant


def matches(text: str) -> Callable[[datetime], bool]:
    """Return the test of a wall time, by all five fields."""
    minute, hour, day, month, weekday = text.split()
    minutes, hours, months = values(minute, 0), values(hour, 1), values(month, 3)
    in_month, in_week = day_of_month(day), day_of_week(weekday)
    both = day.startswith("*") or weekday.startswith("*")

    def test(when: datetime) -> bool:
        if when.minute not in minutes or when.hour not in hours or when.month not in months:
            return False
        parts = in_month(when.date()), in_week(when.date())
        return all(parts) if both else any(parts)

    return test


def instants(text: str, zone: ZoneInfo, begin: datetime, end: datetime) -> list[float]:
    """Return all instants after `begin` and before `end`, by looking at each minute."""
    test, shown = matches(text), list[tuple[datetime, datetime]]()
    now = begin - timedelta(days=2)
    while now < end:
        shown.append((now, now.astimezone(zone).replace(tzinfo=None, fold=0)))
        now += MINUTE
    if text.split()[1].startswith("*"):
        found = {now for now, wall in shown if test(wall)}
    else:
        found = _once_each(shown, test)
    return sorted(now.timestamp() for now in found if begin < now < end)


def _once_each(
    shown: list[tuple[datetime, datetime]], test: Callable[[datetime], bool]
) -> set[datetime]:
    """Return where each wall time is first shown; one that is not, where clocks have passed it."""
    found: set[datetime] = set()
    reached = shown[0][1] - MINUTE  # every wall time up to this one has had its instant
    for now, wall in shown:
        while reached < wall:
            reached += MINUTE
            if test(reached):
                found.add(now)
    return found


def expression(rng: random.Random) -> str:
    """Return an expression that is due a few times a week, or many times a day."""
    minute = rng.choice(["0", "30", "*", "*/7", "*/30", "5,35", "10-20/5", "59", "15/20"])
    hour = rng.choice(["0", "1", "2", "3", "*", "*/2", "0-3", "1,2,3", "2-4", "*/6", "23", "12"])
    day = rng.choice(["*"] * 6 + ["L", "1-15", "*/2", "25-31", "1,30"])
    month = rng.choice(["*"] * 5 + ["3,4,9,10,11,12", "*/2"])
    weekday = rng.choice(["*"] * 6 + ["0", "7", "5,6,0", "0#1", "0L", "0#5", "*/2", "6-7"])
    return f"{minute} {hour} {day} {month} {weekday}"
