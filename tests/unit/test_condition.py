"""What a worker says it is doing, by the facts."""

from __future__ import annotations

import pytest

from ropeway.worker.condition import SILENCE, Condition, Facts, condition

WELL = {"children": 2, "held": 3}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, ("consuming", "")),
        ({"silent": SILENCE}, ("consuming", "")),
        (
            {"silent": 7.2},
            ("waiting", "nothing can be claimed for 7 s: the backend does not answer"),
        ),
        (
            {"silent": 61.0, "missing": "process 7 keeps it"},
            ("waiting", "nothing can be claimed for 61 s: process 7 keeps it"),
        ),
        ({"children": 0}, ("waiting", "none of its child processes is up")),
        ({"quiet": True}, ("quiet", "it was told to claim nothing more")),
        ({"quiet": True, "children": 0}, ("quiet", "it was told to claim nothing more")),
        ({"stopping": True}, ("draining", "it was told to stop, with 3 jobs in hand")),
        (
            {"stopping": True, "quiet": True, "silent": 99.0},
            ("draining", "it was told to stop, with 3 jobs in hand"),
        ),
    ],
)
def test_condition(facts: dict[str, object], expected: tuple[str, str]) -> None:
    """What a person asked for comes before what went wrong; a reason wherever it is not consuming."""
    found = condition(Facts(**{**WELL, **facts}))  # type: ignore[arg-type]  # a table's values
    assert found == Condition(*expected)  # type: ignore[arg-type]  # likewise
    assert found.consuming is (expected[0] == "consuming")
    assert bool(found.why) is not found.consuming
