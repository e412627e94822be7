"""Wall times in a time zone and the instants they are, also where clocks are changed."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ropeway.cron.expression import Cron, before
from ropeway.errors import BadSchedule

_DAY = 86_400.0


@functools.lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """Return a zone of the IANA database by its name; raises `BadSchedule`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        raise BadSchedule(
            f"timezone={str(name)[:60]!r} is not known",
            hint='write a name of the IANA database: "Europe/Berlin", "UTC"',
        ) from None


def wall(instant: float, zone: ZoneInfo) -> datetime:
    """Return the wall time of an instant, without its zone."""
    return datetime.fromtimestamp(instant, zone).replace(tzinfo=None, fold=0)


def exists(when: datetime, zone: ZoneInfo) -> bool:
    """Whether clocks in the zone ever show a wall time."""
    there = when.replace(tzinfo=zone)
    return there.astimezone(UTC).astimezone(zone).replace(tzinfo=None, fold=0) == when


def instant_of(when: datetime, zone: ZoneInfo) -> float:
    """Return the instant of a wall time: the first of two, and the end of the gap for none."""
    if exists(when, zone):
        return when.replace(tzinfo=zone, fold=0).timestamp()
    # In a gap fold 0 counts on with the time of before it: the change lies before that.
    late = when.replace(tzinfo=zone, fold=0).timestamp()
    early = when.replace(tzinfo=zone, fold=1).timestamp()
    return _change(min(early, late), max(early, late), zone)


def next_instant(cron: Cron, zone: ZoneInfo, after: float) -> float | None:
    """Return the first instant after another at which the expression is due, or None.

    Fixed hours mean a time of the day: once where the wall time comes twice, and at the end of the
    gap where it does not come. Hours that begin with `*` mean real intervals: whenever clocks show
    a time that matches.
    """
    if cron.elapsed:
        return _next_elapsed(cron, zone, after)
    for when in cron.after(wall(after, zone)):
        found = instant_of(when, zone)
        if found > after:
            return found
    return None


def _next_elapsed(cron: Cron, zone: ZoneInfo, after: float) -> float | None:
    # Between two changes of the clocks wall time runs as time does.
    while True:
        offset = _offset(after, zone)
        when = next(
            cron.after(datetime.fromtimestamp(after + offset, UTC).replace(tzinfo=None)), None
        )
        if when is None:
            return None
        found = when.replace(tzinfo=UTC).timestamp() - offset
        change = _next_change(after, found, zone)
        if change is None:
            return found
        wall_then = datetime.fromtimestamp(change + _offset(change, zone), UTC).replace(tzinfo=None)
        first = next(cron.after(before(wall_then)), None)
        if first == wall_then:
            return change
        after = change


def _next_change(start: float, end: float, zone: ZoneInfo) -> float | None:
    """Return when clocks are changed next, up to and with `end`; None if they are not."""
    offset, low = _offset(start, zone), start
    while low < end:
        high = min(low + _DAY, end)
        if _offset(high, zone) != offset:
            return _change(low, high, zone)
        low = high
    return None


def _change(low: float, high: float, zone: ZoneInfo) -> float:
    """Return the second of the change of clocks that lies after `low`, up to `high`."""
    before_it, first, last = _offset(low, zone), int(low), int(-(-high // 1))
    while last - first > 1:
        middle = (first + last) // 2
        if _offset(middle, zone) == before_it:
            first = middle
        else:
            last = middle
    return float(last)


def _offset(instant: float, zone: ZoneInfo) -> float:
    found = datetime.fromtimestamp(instant, zone).utcoffset()
    return found.total_seconds() if found is not None else 0.0


def told_of_change(cron: Cron, zone: ZoneInfo, instant: float) -> str:
    """Say what a change of clocks has to do with an instant of an expression; empty if nothing."""
    here = wall(instant, zone)
    gap = _offset(instant, zone) - _offset(instant - 1, zone)
    if gap > 0 and not cron.elapsed:
        missing = next(cron.after(before(here - timedelta(seconds=gap))), here)
        if missing < here:
            return f"{missing:%H:%M} does not exist on {missing:%Y-%m-%d}: runs at {here:%H:%M}"
    first, second = (here.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    if first < second:
        which = "first" if instant == first else "second"
        return f"{here:%H:%M} comes twice on {here:%Y-%m-%d}: this is the {which}"
    return ""
