"""Cron expressions: what they mean in every zone, and what is refused."""

from __future__ import annotations

import itertools
import os
import random
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropeway.cron.expression import Cron, cron_of
from ropeway.cron.timetable import Timetable, checked, instants, latest, next_after
from ropeway.cron.zones import told_of_change, zone_of
from ropeway.errors import BadSchedule
from tests.schedules import model

CASES = int(os.environ.get("SCHEDULE_CASES", "2"))
"""Windows of three days that are looked at in each zone: about 12 ms each."""


@pytest.mark.timeout(max(60, CASES * 5))
def test_every_minute_agrees() -> None:
    """In 46 zones and 20 years, mostly where clocks are changed, with a model that counts minutes."""
    rng = random.Random(os.environ.get("SCHEDULE_SEED", "ropeway"))
    assert len(model.ZONES) >= 40
    compared = 0
    for name in model.ZONES:
        zone = ZoneInfo(name)
        for number in range(CASES):
            days = model.changes(name)
            anywhere = model.FIRST + timedelta(days=rng.randrange(20 * 365))
            day = rng.choice(days) if days and number % 4 < 3 else anywhere
            begin, end = (
                day - timedelta(days=1, minutes=rng.randrange(600)),
                day + timedelta(days=2),
            )
            text = model.expression(rng)
            wanted = model.instants(text, zone, begin, end)
            table = Timetable(cron=text, timezone=name)
            found = list(itertools.islice(instants(table, begin.timestamp()), len(wanted) + 1))
            if found[len(wanted) :]:
                assert found.pop() >= end.timestamp()
            assert found == wanted, f"{text!r} in {name} from {begin}"
            compared += len(wanted)
    assert compared > 20 * CASES


def at(text: str, zone: str, begin: datetime, number: int = 3) -> list[str]:
    """Return when an expression is due after a date, as clocks there show it, with the offset."""
    found = itertools.islice(
        instants(checked(Timetable(cron=text, timezone=zone)), begin.timestamp()), number
    )
    return [datetime.fromtimestamp(each, ZoneInfo(zone)).isoformat() for each in found]


@pytest.mark.parametrize(
    ("text", "zone", "begin", "wanted"),
    [
        (  # 02:30 does not exist on the 28th: once, at the end of the gap
            "30 2 * * *",
            "Europe/Berlin",
            datetime(2027, 3, 27, 12, tzinfo=UTC),
            ["2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"],
        ),
        (  # it comes twice on the 31st: once
            "30 2 * * *",
            "Europe/Berlin",
            datetime(2027, 10, 30, 12, tzinfo=UTC),
            ["2027-10-31T02:30:00+02:00", "2027-11-01T02:30:00+01:00"],
        ),
        (  # each real hour
            "30 * * * *",
            "Europe/Berlin",
            datetime(2027, 10, 31, 0, tzinfo=UTC),
            [f"2027-10-31T02:30:00+0{offset}:00" for offset in (2, 1)],
        ),
        (  # clocks are changed by half an hour there
            "10 2 * * *",
            "Australia/Lord_Howe",
            datetime(2026, 10, 3, 0, tzinfo=UTC),
            ["2026-10-03T02:10:00+10:30", "2026-10-04T02:30:00+11:00"][1:],
        ),
        (  # a whole day does not exist: once, at the end of it
            "0 12 * * *",
            "Pacific/Apia",
            datetime(2011, 12, 29, 23, tzinfo=UTC),
            ["2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"],
        ),
        (  # midnight does not exist
            "0 0 * * *",
            "Africa/Cairo",
            datetime(2026, 4, 23, 12, tzinfo=UTC),
            ["2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00"],
        ),
        (  # and is not one of these hours either, which are real intervals
            "0 */6 * * *",
            "Africa/Cairo",
            datetime(2026, 4, 23, 16, tzinfo=UTC),
            ["2026-04-24T06:00:00+03:00", "2026-04-24T12:00:00+03:00"],
        ),
        (
            "0 0 L * *",
            "UTC",
            datetime(2028, 2, 3, tzinfo=UTC),
            ["2028-02-29T00:00:00+00:00", "2028-03-31T00:00:00+00:00"],
        ),
        (
            "0 9 * jan-mar mon#1",
            "UTC",
            datetime(2027, 1, 1, tzinfo=UTC),
            ["2027-01-04T09:00:00+00:00", "2027-02-01T09:00:00+00:00"],
        ),
        (
            "@weekly",
            "UTC",
            datetime(2027, 1, 1, tzinfo=UTC),
            ["2027-01-03T00:00:00+00:00", "2027-01-10T00:00:00+00:00"],
        ),
    ],
)
def test_known_dates(text: str, zone: str, begin: datetime, wanted: list[str]) -> None:
    """Those that other schedulers are known to get wrong."""
    assert at(text, zone, begin, len(wanted)) == wanted


def test_changes_of_clocks_are_told() -> None:
    """In words, where a time does not exist, or comes twice."""
    zone, cron = zone_of("Europe/Berlin"), cron_of("30 2 * * *")
    spring, autumn = datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    assert told_of_change(cron, zone, spring.timestamp()) == (
        "02:30 does not exist on 2027-03-28: runs at 03:00"
    )
    twice = "02:30 comes twice on 2027-10-31: this is the"
    assert told_of_change(cron, zone, autumn.timestamp()) == f"{twice} first"
    hourly = cron_of("30 * * * *")
    assert told_of_change(hourly, zone, autumn.timestamp() + 3600) == f"{twice} second"
    assert not told_of_change(hourly, zone, spring.timestamp() + 1800)
    assert not told_of_change(cron_of("0 3 * * *"), zone, spring.timestamp())


HOSTILE = {
    "0 0 1--100000000 * *": ("day of the month", "'-100000000' is no value"),
    "0 0 1-100000000 * *": ("day of the month", "'100000000' is no value"),
    "*/100000000 * * * *": ("minute", "step"),
    "*/0 * * * *": ("minute", "step"),
    "60 * * * *": ("minute", "60 is not from 0 to 59"),
    "0 24 * * *": ("hour", "24 is not from 0 to 23"),
    "0 0 0 * *": ("day of the month", "0 is not from 1 to 31"),
    "0 0 30 2 *": ("day of the month", "no such day"),
    "0 0 31 2,4,6 *": ("day of the month", "no such day"),
    "0 0 */30 2 MON#2": ("day of the month", "no month has such a day"),
    "0 0 * 13 *": ("month", "13 is not from 1 to 12"),
    "0 0 * FOO *": ("month", "'FOO' is no value"),
    "0 0 * * 8": ("day of the week", "8 is not from 0 to 7"),
    "0 0 * * 1#6": ("day of the week", "no value"),
    "0 0 * * FRI-MON": ("day of the week", "ends before it begins"),
    "0 0 * * L": ("day of the week", "no value"),
    "1,,2 * * * *": ("minute", "'nothing' is no value"),
    "١ * * * *": ("minute", "no value"),
    ",".join(["1"] * 100) + " * * * *": ("minute", "100 values"),
    "1," * 5_000 + "1 * * * *": ("", "too long"),
    "x" * 10_000: ("", "too long"),
    "* * * *": ("", "4 fields"),
    "* * * * * *": ("", "6 fields"),
    "": ("", "0 fields"),
    "@reboot": ("", "macro"),
    "\0 * * * *": ("minute", "no value"),
}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_expressions_are_refused_at_once(text: str) -> None:
    """With the field and the reason, and before anything is expanded."""
    field, reason = HOSTILE[text]
    took = []
    for _ in range(3):  # the best of three: somebody else may have had the core
        begun = time.perf_counter()
        with pytest.raises(BadSchedule) as refused:
            Cron(text)
        took.append(time.perf_counter() - begun)
    assert field in refused.value.fact
    assert reason in refused.value.fact
    assert len(str(refused.value)) < 300
    assert min(took) < 0.010


@given(st.text(alphabet="0123456789*/,-#LW MONJA@.\n", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever is read is due some day; whatever is refused says so with one error."""
    try:
        table = checked(Timetable(cron=text))
    except BadSchedule:
        return
    found = next_after(table, 1_800_000_000.0)
    assert found is not None
    assert found > 1_800_000_000.0


@given(
    st.sampled_from(["* * * * *", "*/7 1-3 * * *", "0 0 29 2 *", "0 0 1 1 *", "0 12 * * 1"]),
    st.integers(0, 3 * 366 * 86_400),
    st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_the_latest_instants_are_found_from_behind(text: str, length: int, most: int) -> None:
    """The same as counting them all, without doing so."""
    table = Timetable(cron=text, timezone="America/New_York")
    until = 1_800_000_000.0
    since = until - length
    found = latest(table, since, until, most)
    ahead = list(itertools.islice(instants(table, (found or [since])[0] - 1e-6), most + 1))
    assert found == [each for each in ahead if each < until][-most:]
    assert all(since <= each < until for each in found)
    if len(found) < most:
        whole = itertools.takewhile(lambda each: each < until, instants(table, since - 1e-6))
        assert found == list(whole)


def test_the_latest_of_a_very_long_time_cost_no_more() -> None:
    """Of six years of seconds, the last three."""
    table = Timetable(cron="* * * * *", seconds="*")
    begun = time.perf_counter()
    assert latest(table, 1_600_000_000.0, 1_800_000_000.0, 3) == [
        1_799_999_997.0,
        1_799_999_998.0,
        1_799_999_999.0,
    ]
    assert time.perf_counter() - begun < 0.5


def test_other_kinds() -> None:
    """Intervals are counted from the epoch or from their start, and dates are a list."""
    every = checked(Timetable(every=90.0))
    assert next_after(every, 1_800_000_000.0) == 1_800_000_090.0
    assert next_after(every, 1_800_000_089.5) == 1_800_000_090.0
    from_start = checked(Timetable(every=90.0, start=1_800_000_010.0))
    assert next_after(from_start, 0.0) == 1_800_000_010.0
    assert next_after(from_start, 1_800_000_010.0) == 1_800_000_100.0
    dates = checked(Timetable(at=(10.0, 20.0), end=15.0))
    assert list(instants(dates, 0.0)) == [10.0]
    seconds = checked(Timetable(cron="* * * * *", seconds="*/20"))
    assert next_after(seconds, 1_800_000_001.0) == 1_800_000_020.0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Timetable(), "one of them"),
        (Timetable(cron="* * * * *", every=5.0), "one of them"),
        (Timetable(every=0.5), "every=0.5 s"),
        (Timetable(every=float("nan")), "every=nan"),
        (Timetable(every=60.0, timezone="Mars/Olympus"), "timezone='Mars/Olympus'"),
        (Timetable(every=60.0, timezone="../../etc/passwd"), "timezone="),
        (Timetable(every=60.0, start=5.0, end=4.0), "before it starts"),
        (Timetable(every=60.0, max_runs=0), "max_runs=0"),
        (Timetable(every=60.0, missed="later"), "missed='later'"),  # type: ignore[arg-type]
        (Timetable(every=60.0, overlap="maybe"), "overlap='maybe'"),  # type: ignore[arg-type]
        (Timetable(every=60.0, seconds="5"), "seconds"),
        (Timetable(at=tuple(float(each) for each in range(1_001))), "1,001 dates"),
        (Timetable(at=(4e10,)), "year 3000"),
    ],
)
def test_what_cannot_be_is_refused(wrong: Timetable, said: str) -> None:
    """With what is wrong."""
    with pytest.raises(BadSchedule, match=said):
        checked(wrong)
