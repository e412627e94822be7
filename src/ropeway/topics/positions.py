"""Places in a log: its two ends, and where an instant lies."""

from __future__ import annotations

from datetime import datetime, timedelta

from ropeway.config import seconds
from ropeway.errors import BadArguments, ConfigError
from ropeway.store import Store
from ropeway.topics.records import Start

From = str | int | datetime | timedelta
"""`"start"`, `"now"`, an offset, a date with a time zone, or how long ago: `"24h"`, a timedelta."""


def start_of(value: From, name: str = "from_") -> Start:
    """Return what a caller says of where to begin; raises `BadArguments`."""
    if value in {"start", "now"}:
        return Start(str(value))
    if isinstance(value, bool) or not isinstance(value, str | int | datetime | timedelta):
        raise BadArguments(
            f"{name}={value!r} is no place in a topic",
            hint='write "start", "now", an offset, a date, or "24h" for a day ago',
        )
    if isinstance(value, int):
        if value < 1:
            raise BadArguments(f"{name}={value}: offsets begin with 1", hint='or write "start"')
        return Start("offset", value - 1)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise BadArguments(f"{name}={value} has no time zone", hint="datetime.now(UTC), say")
        return Start("time", value.timestamp())
    try:
        ago = seconds(value.total_seconds() if isinstance(value, timedelta) else value, name)
    except ConfigError as error:
        raise BadArguments(error.fact, hint=f'{error.hint}, or "start", or "now"') from None
    return Start("ago", ago)


def place_of(text: str) -> Start:
    """Read a place as people write it: start, now, an offset, a date, or 24h; `BadArguments`."""
    try:
        if text.isdecimal():
            return start_of(int(text))
        return start_of(datetime.fromisoformat(text) if text[:4].isdecimal() else text)
    except (BadArguments, ValueError):
        raise BadArguments(
            f"{text!r} is no place",
            hint="write start, now, an offset, 2030-01-31T09:00+01:00, or 24h",
        ) from None


async def last_offset(store: Store, log: str) -> int:
    """Return the offset of a log's last entry; 0 if it has none."""
    newest = await store.read(log, -1, 1)
    return newest[0].offset if newest else 0


async def first_offset(store: Store, log: str) -> int:
    """Return the offset of the first entry that is kept of a log; 1 if it has none."""
    oldest = await store.read(log, 0, 1)
    return oldest[0].offset if oldest else 1


async def offset_before(store: Store, log: str, instant: float) -> int:
    """Return the last offset that was appended before an instant, by halving the log."""
    low = await first_offset(store, log) - 1
    high = await last_offset(store, log)
    while low < high:
        middle = (low + high) // 2
        found = await store.read(log, middle, 1)
        if found and found[0].appended < instant:
            low = found[0].offset
        else:
            high = middle
    return low


async def resolve(store: Store, log: str, start: Start) -> int:
    """Return behind which offset of a log to begin."""
    match start.at:
        case "start":
            return await first_offset(store, log) - 1
        case "now":
            return await last_offset(store, log)
        case "offset":
            return min(int(start.value), await last_offset(store, log))
        case "time":
            return await offset_before(store, log, start.value)
        case _:
            return await offset_before(store, log, await store.now() - start.value)
