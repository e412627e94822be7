"""Cron expressions: read with bounds on every part, and searched for the wall times they name."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from cronsim import CronSim, CronSimError

from ropeway.errors import BadSchedule

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 7, DAYS),
)
_LONGEST, _MOST_TERMS = 400, 60
_LENGTHS = {2: (28, 29), 4: (30,), 6: (30,), 9: (30,), 11: (30,)}
_SHOWN = 40
_LAST_YEAR = 9_999
_NUMBER = re.compile(r"[0-9]{1,4}")


class Cron:
    """A checked expression. `elapsed` tells that its hours begin with `*`: it means intervals.

    It knows wall times alone, and nothing of zones.
    """

    def __init__(self, text: str, seconds: str = "") -> None:
        fields = _checked(text, seconds)
        self.fields = fields
        self.elapsed = fields[2].startswith("*")
        try:
            self._search = CronSim(" ".join(fields), datetime(2000, 1, 1))  # noqa: DTZ001  # a wall time
        except CronSimError as error:
            # All else was looked at: what is left are days that no month of the expression has.
            raise _refusal(3, fields[3], "these months have no such day") from error
        _refuse_never(self._search, fields[3])

    def explain(self) -> str:
        """Say in English what it means."""
        return self._search.explain()

    def after(self, wall: datetime) -> Iterator[datetime]:
        """Yield the wall times that the expression names after `wall`, which has no zone."""
        search = copy.copy(self._search)
        search.dt = wall.replace(microsecond=0)
        if search.dt.year + 60 > _LAST_YEAR:
            return
        yield from search


@functools.lru_cache(maxsize=4096)
def cron_of(text: str, seconds: str = "") -> Cron:
    """Return the expression, read once; raises `BadSchedule` with the field and the reason."""
    return Cron(text, seconds)


def before(wall: datetime) -> datetime:
    """Return the last second before a wall time, to begin a search at that time itself."""
    return wall - timedelta(seconds=1)


def _checked(text: str, seconds: str) -> list[str]:
    """Return the six fields, each looked at before anything is expanded."""
    if not isinstance(text, str) or not isinstance(seconds, str):
        raise BadSchedule(
            f"cron={text!r:.60} is no text", hint='write "*/10 * * * *" and seconds="*/15"'
        )
    for part in (text, seconds):
        if len(part) > _LONGEST:
            raise BadSchedule(
                f"a cron expression of {len(part):,} characters is too long",
                hint=f"write at most {_LONGEST}",
            )
    words = text.split()
    if words and words[0].startswith("@"):
        words = _macro(text).split()
    if len(words) != 5:
        raise BadSchedule(
            f"cron={text[:_SHOWN]!r} has {len(words)} fields, not 5",
            hint="minute, hour, day of the month, month, day of the week: 0 2 * * MON",
        )
    fields = [seconds.replace(" ", "") or "0", *words]
    for place, field in enumerate(fields):
        for term in _terms(place, field):
            _check_term(place, term, field)
    return [field.upper() for field in fields]


def _macro(text: str) -> str:
    found = MACROS.get(text.strip().lower())
    if found is None:
        hint = "there are: " + ", ".join(MACROS)
        raise BadSchedule(f"cron={text[:_SHOWN]!r} is no known macro", hint=hint)
    return found


def _terms(place: int, field: str) -> list[str]:
    terms = field.split(",")
    if len(terms) > _MOST_TERMS:
        reason = f"{len(terms):,} values are more than {_MOST_TERMS}"
        raise _refusal(place, field, reason)
    return terms


def _check_term(place: int, term: str, field: str) -> None:
    """See that a term is `*`, a value or a range, perhaps with a step; or L, LW, `5L` or `1#2`."""
    base, slash, step = term.upper().partition("/")
    if slash and not (_NUMBER.fullmatch(step) and int(step) > 0):
        raise _refusal(place, field, f"the step {step[:_SHOWN]!r} is not a number from 1")
    if base == "*" or (_is_special(place, base) and not slash):
        return
    first, dash, last = base.partition("-")
    values = [_value(place, each, field) for each in ((first, last) if dash else (first,))]
    if dash and values[1] < values[0]:
        raise _refusal(place, field, f"the range {base[:_SHOWN]!r} ends before it begins")


def _is_special(place: int, base: str) -> bool:
    if place == 3:
        return base in {"L", "LW"}
    if place != 5:
        return False
    day, mark, which = base.partition("#")
    if mark:
        return _is_day(day) and which in set("12345")
    return base.endswith("L") and base[:-1].isdigit() and _is_day(base[:-1])


def _is_day(word: str) -> bool:
    return word in DAYS or (len(word) == 1 and word in "01234567")


def _value(place: int, word: str, field: str) -> int:
    _, low, high, names = _FIELDS[place]
    if word in names:
        return names.index(word) + low
    if not _NUMBER.fullmatch(word):
        shown = word[:_SHOWN] or "nothing"
        raise _refusal(place, field, f"{shown!r} is no value of it")
    if not low <= int(word) <= high:
        raise _refusal(place, field, f"{word} is not from {low} to {high}")
    return int(word)


def _refuse_never(search: CronSim, field: str) -> None:
    """Raise if no month has a day that is meant; each kind of month is looked at, and no year."""
    if not search.day_and or CronSim.LAST_WEEKDAY in search.days:
        return
    lengths = {length for month in search.months for length in _LENGTHS.get(month, (31,))}
    for length in lengths:
        for day in range(1, length + 1):
            in_month = day in search.days or (day == length and CronSim.LAST in search.days)
            if in_month and any(_is_meant(search, day, weekday, length) for weekday in range(7)):
                return
    raise _refusal(3, field, "no month has such a day on such a day of the week")


def _is_meant(search: CronSim, day: int, weekday: int, length: int) -> bool:
    """Whether a day of a month is meant when it is on that day of the week, 0 for a Sunday."""
    names = {weekday, 7} if weekday == 0 else {weekday}
    return any(
        name in search.weekdays
        or ((name, CronSim.LAST) in search.weekdays and day + 7 > length)
        or (name, (day + 6) // 7) in search.weekdays
        for name in names
    )


def _refusal(place: int, field: str, reason: str) -> BadSchedule:
    name = _FIELDS[place][0]
    return BadSchedule(
        f"cron: {name} {field[:_SHOWN]!r}: {reason}",
        hint='minute 0-59, hour 0-23, day 1-31, month 1-12, day of the week 0-7: "30 2 * * MON"',
    )
