"""Durations and dates in words."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_PERIODS = ((1.0, "a second"), (60.0, "a minute"), (3_600.0, "an hour"))
NOTHING = "-"
"""Stands in a table where there is no value."""


def duration(seconds: float | None) -> str:
    """Say how long something took: "12ms", "2.1s", "3m05s", "2h10m", "4d03h"."""
    if seconds is None:
        return NOTHING
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3_600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3_600}h{whole % 3_600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3_600:02}h"


def interval(seconds: float) -> str:
    """Write how long something is set to take, exactly: "2s", "1m30s", "12h", "2.5s"."""
    parts = list[str]()
    for unit, letter in _UNITS[:-1]:
        amount, seconds = divmod(seconds, unit)
        parts += [f"{amount:.0f}{letter}"] if amount else []
    return "".join(parts + ([f"{seconds:g}s"] if seconds or not parts else []))


def relative(seconds: float) -> str:
    """Say how far away an instant is: "3m ago", "in 5m", "now"."""
    size = abs(seconds)
    for unit, letter in _UNITS:
        if size >= unit:
            amount = f"{int(size // unit)}{letter}"
            return f"{amount} ago" if seconds > 0 else f"in {amount}"
    return "now"


def often(rate: float) -> str:
    """Say how often something may happen that may happen `rate` times a second: "30 a minute"."""
    for seconds, name in _PERIODS:
        if rate * seconds >= 1:
            return f"{rate * seconds:.3g} {name}"
    return f"{rate * 86_400:.3g} a day"


def several(number: int, what: str = "job", *, more: bool = False) -> str:
    """Say how many there are: "1 job", "1,000 figures"; with `more` "100,000+ jobs"."""
    return f"{number:,}{'+' if more else ''} {what}{'' if number == 1 else 's'}"


def date(instant: float) -> str:
    """Write an instant for people, in the time zone of this machine, which is named."""
    found = _date(instant)
    try:
        return f"{found.astimezone():%Y-%m-%d %H:%M:%S %Z}" if found else f"second {instant:.0f}"
    except OverflowError:  # the last day of the calendar, in a zone ahead
        return f"second {instant:.0f}"


def iso(instant: float | None) -> str | None:
    """Write an instant for programs: ISO 8601, UTC; None for none, or one past the year 9999."""
    found = None if instant is None else _date(instant)
    return found.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if found else None


def _date(instant: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(instant, UTC)
    except (OverflowError, ValueError, OSError):
        return None
