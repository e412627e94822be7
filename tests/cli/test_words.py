"""Durations and dates in words."""

from __future__ import annotations

import time

import pytest

from ropeway import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (-1.0, "0ms"),
        (0.0, "0ms"),
        (0.012, "12ms"),
        (0.9994, "999ms"),
        (0.9996, "1.0s"),
        (2.14, "2.1s"),
        (59.94, "59.9s"),
        (59.96, "1m00s"),
        (185.0, "3m05s"),
        (3599.7, "1h00m"),
        (7800.0, "2h10m"),
        (86_399.9, "1d00h"),
        (356_400.0, "4d03h"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    """Two units at most, and no 60 seconds."""
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (2.0, "2s"),
        (2.5, "2.5s"),
        (61.1, "1m1.1s"),
        (90.0, "1m30s"),
        (3601.0, "1h1s"),
        (43_200.0, "12h"),
        (90_000.0, "1d1h"),
    ],
)
def test_interval(seconds: float, text: str) -> None:
    """Exact, and no longer than that."""
    assert words.interval(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "now"),
        (-0.4, "now"),
        (12.9, "12s ago"),
        (180.0, "3m ago"),
        (-300.0, "in 5m"),
        (7300.0, "2h ago"),
        (-200_000.0, "in 2d"),
    ],
)
def test_relative(seconds: float, text: str) -> None:
    """One unit, in the past or ahead."""
    assert words.relative(seconds) == text


def test_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the machine's zone for people, in UTC for programs."""
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    assert words.date(0.0) == "1969-12-31 19:00:00 EST"
    monkeypatch.undo()
    time.tzset()
    assert words.iso(1.5) == "1970-01-01T00:00:01.500000Z"
    assert words.iso(None) is None


def test_a_date_past_all_calendars() -> None:
    """A delay of a million years has a due time that no calendar holds."""
    assert words.iso(1e15) is None
    assert words.date(1e15) == "second 1000000000000000"
