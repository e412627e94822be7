"""What is decided about instants that have come: a table of late workers, policies and overlaps."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropeway.cron.ticking import MOST_AT_ONCE, Open, Step, decide
from ropeway.cron.timetable import Overlap, Timetable, due_of

START = 1_800_000_000.0


def table(**given: Any) -> Timetable:
    """Return a timetable of every minute."""
    return Timetable(every=60.0, **given)


def decided(
    late: float, last: Open = "none", upcoming: float = START, runs: int = 0, **given: Any
) -> Step:
    """Decide `late` seconds after an instant."""
    return decide(table(**given), "name", upcoming, runs, upcoming + late, last)


def told(step: Step) -> list[tuple[str, float, int]]:
    """Return what was decided, in minutes from the start, and about how many."""
    return [(each.decision, (each.instant - START) / 60, each.count) for each in step.decided]


@pytest.mark.parametrize(
    ("late", "given", "wanted"),
    [
        (0.0, {}, [("fired", 0, 1)]),
        (29.9, {}, [("fired", 0, 1)]),
        # an hour and a half minute later the last one is on time, and makes up for the others
        (3_605.0, {}, [("missed", 59, 60), ("fired", 60, 1)]),
        # and a moment later it is not: the last one is made up for
        (3_640.0, {}, [("missed", 60, 60), ("fired", 60, 1)]),
        (3_640.0, {"missed": "skip"}, [("missed", 60, 61)]),
        (3_605.0, {"missed": "skip"}, [("missed", 59, 60), ("fired", 60, 1)]),
        (
            200.0,
            {"missed": "fire_all"},
            [("fired", 0, 1), ("fired", 1, 1), ("fired", 2, 1), ("fired", 3, 1)],
        ),
        (
            200.0,
            {"missed": "fire_all", "missed_limit": 2},
            [("missed", 2, 1), ("fired", 1, 1), ("fired", 2, 1), ("fired", 3, 1)],
        ),
        # within a grace of four minutes all are on time
        (130.0, {"grace": 240.0}, [("fired", 0, 1), ("fired", 1, 1), ("fired", 2, 1)]),
        (3_640.0, {"max_runs": 3, "missed": "fire_all"}, [
            ("missed", 60, 58), ("fired", 0, 1), ("fired", 1, 1), ("fired", 2, 1)
        ]),
        (200.0, {"end": START + 61.0}, [("missed", 1, 1), ("fired", 1, 1)]),
    ],
)  # fmt: skip
def test_missed(late: float, given: dict[str, Any], wanted: list[tuple[str, float, int]]) -> None:
    """Each policy, with what is told of what was not fired."""
    assert told(decided(late, **given)) == wanted


@pytest.mark.parametrize(
    ("overlap", "last", "decisions", "cancel"),
    [
        ("allow", "running", ["fired", "fired"], False),
        ("skip", "none", ["fired", "skipped"], False),
        ("skip", "waiting", ["skipped", "skipped"], False),
        ("skip", "running", ["skipped", "skipped"], False),
        ("queue_one", "none", ["fired", "skipped"], False),
        ("queue_one", "running", ["fired", "skipped"], False),
        ("queue_one", "waiting", ["skipped", "skipped"], False),
        ("cancel_running", "running", ["skipped", "fired"], True),
    ],
)
def test_overlap(overlap: Overlap, last: Open, decisions: list[str], cancel: bool) -> None:
    """Two instants at once, beside a job that has not ended."""
    step = decided(70.0, last, overlap=overlap, grace=100.0)
    assert [each.decision for each in step.decided] == decisions
    assert step.cancel == cancel
    assert step.cursor == START + 60


def test_the_last_run_is_the_last() -> None:
    """After `max_runs` there is no next instant, and what was skipped is no run."""
    assert decided(0.0, runs=2, max_runs=3).next is None
    assert decided(0.0, runs=1, max_runs=3).next == START + 60
    skipped = decided(0.0, "running", runs=2, max_runs=3, overlap="skip")
    assert (skipped.runs, skipped.next) == (2, START + 60)


def test_nothing_is_decided_before_its_time() -> None:
    """Not a microsecond: and with jitter not before its share of it, always the same."""
    early = decide(table(), "name", START, 0, START - 1e-6, "none")
    assert (early.decided, early.next) == ((), START)
    assert early.cursor < START
    jittered = table(jitter=30.0)
    due = due_of(jittered, "name", START)
    assert START < due < START + 30
    assert due != due_of(jittered, "other", START)
    assert not decide(jittered, "name", START, 0, due - 0.001, "none").decided
    assert decide(jittered, "name", START, 0, due, "none").decided[0].late == 0.0


def test_a_long_outage_is_counted_up_to_a_thousand() -> None:
    """Of a year of seconds that were missed nobody enumerates each."""
    seconds = Timetable(cron="* * * * *", seconds="*")
    step = decide(seconds, "name", START, 0, START + 366 * 86_400, "none")
    missed, *fired = step.decided
    assert (missed.decision, missed.whole) == ("missed", False)
    assert missed.count >= 1_000
    assert len(fired) == 31  # those that are not late, each
    assert step.next == START + 366 * 86_400 + 1


@given(
    late=st.floats(0, 7_200),
    grace=st.sampled_from([0.0, 30.0, 600.0]),
    missed=st.sampled_from(["fire_once", "skip", "fire_all"]),
    overlap=st.sampled_from(["allow", "skip", "queue_one", "cancel_running"]),
    jitter=st.sampled_from([0.0, 20.0, 200.0]),
    last=st.sampled_from(["none", "waiting", "running"]),
)
@settings(max_examples=50, deadline=None)
def test_every_instant_is_decided_once(late: float, last: Open, **given: Any) -> None:
    """However often and late somebody looks: each in order, none twice, none left out."""
    decisions: dict[float, str] = {}
    counted, upcoming, now = 0, START, START + late
    for _ in range(MOST_AT_ONCE):
        step = decide(table(**given), "name", upcoming, 0, now, last)
        for each in step.decided:
            if each.decision == "missed":
                counted += each.count
            else:
                assert each.instant not in decisions
                decisions[each.instant] = each.decision
            assert each.instant <= now
        assert step.next is not None
        if step.next == upcoming:
            break
        assert step.next > step.cursor >= upcoming
        upcoming = step.next
    passed = math.ceil((upcoming - START) / 60)
    assert len(decisions) + counted == passed
    assert due_of(table(**given), "name", upcoming) > now
