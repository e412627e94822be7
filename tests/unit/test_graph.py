"""Graphs as values: who waits for whom in a circle, and whether a node is to run."""

from __future__ import annotations

import pytest

from ropeway.graph import (
    Need,
    Place,
    Rule,
    Standing,
    Unfit,
    arrivals,
    cycle,
    descendants,
    followers,
    node_id,
    place_in,
    run_id,
    verdict,
)
from ropeway.ids import new_id

OK = Standing("a", "ok", truth=True)
FALSE = Standing("a", "ok")
FAILED = Standing("b", "failed", "failed: ValueError: x")
SKIPPED = Standing("c", "skipped", "was not run: nothing failed")


@pytest.mark.parametrize(
    ("needs", "fit"),
    [
        ([], None),
        ([("ok", OK), ("done", FAILED), ("done", SKIPPED)], None),
        ([("ok", FAILED), ("ok", SKIPPED)], "NotRun"),
        ([("ok", SKIPPED), ("ok", FAILED)], "NotRun"),
        ([("ok", OK), ("ok", SKIPPED)], "Skipped"),
        ([("true", OK), ("false", FALSE)], None),
        ([("true", FALSE)], "Skipped"),
        ([("false", OK)], "Skipped"),
        ([("true", FAILED)], "NotRun"),
        ([("failed", FAILED), ("failed", OK)], None),
        ([("failed", OK), ("failed", SKIPPED)], "Skipped"),
        ([("failed", FAILED), ("ok", SKIPPED)], "Skipped"),
        ([("any", SKIPPED), ("any", FAILED), ("any", OK)], None),
        ([("any", SKIPPED), ("any", SKIPPED)], "Skipped"),
        ([("any", SKIPPED), ("any", FAILED)], "NotRun"),
    ],
)
def test_whether_a_node_runs(needs: list[tuple[Rule, Standing]], fit: str | None) -> None:
    """What follows from a failure is told from what was left out; a failure comes first."""
    found = verdict([Need(1, rule) for rule, _ in needs], [each for _, each in needs])
    assert (found and found.type) == fit


def test_the_reason_names_the_cause() -> None:
    """Whoever looks at a node that did not run sees what failed."""
    assert verdict([Need(1)], [FAILED]) == Unfit("NotRun", "b failed: ValueError: x")


def test_circles_are_found() -> None:
    """The path is told as it is waited for, from a node back to itself; a diamond is none."""
    assert cycle([[], [], [1], [1], [2, 3]]) == []
    assert cycle([[], [3], [1], [2]]) == [1, 3, 2, 1]
    assert cycle([[0]]) == [0, 0]
    deep: list[list[int]] = [[], *([n] for n in range(20_000))]
    assert cycle(deep) == []


def test_what_follows() -> None:
    """Those that wait for a node, and all that wait for these, once."""
    after = followers([[], [], [1], [1, 1], [2, 3]])
    assert after == [[], [2, 3], [4], [4], []]
    assert descendants([1], after) == {1, 2, 3, 4}
    assert descendants([3], after) == {3, 4}


def test_ids_tell_their_place() -> None:
    """All ids of a run begin as its own; none is that of another node or item."""
    run = run_id(new_id())
    assert node_id(run, 0) == run
    places = [(node, item) for node in (0, 1, 9, 65_535) for item in (0, 1, 2**32 - 1)]
    ids = [node_id(run, *place) for place in places]
    assert len(set(ids)) == len(places)
    assert [place_in(each) for each in ids] == places
    assert all(len(each) == 36 and each.startswith(run[:24]) for each in ids)


def test_where_an_end_arrives() -> None:
    """At joins of its own run, or of another with a whole name, as itself or as what is said."""
    run = run_id(new_id())
    place = Place(run, "a", ("1.2", "1.3=skip", "run/x/start"))
    assert arrivals(place, node_id(run, 1)) == [
        (f"run/{run}/1.2", "000100000000"),
        (f"run/{run}/1.3", "skip"),
        ("run/x/start", "000100000000"),
    ]
