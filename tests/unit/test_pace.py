"""A look that is to be over after a moment is, whether the disk is quick or slow."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ropeway import pace
from ropeway.pace import Pace


@pytest.mark.parametrize(
    ("a_job", "most", "least"),
    [
        (1e-6, 0.021, 15_000),  # a warm file: nearly the whole moment is used
        (1e-5, 0.021, 1_500),
        (1e-4, 0.051, 500),  # a cold one: a single step of the shortest is all there is
    ],
)
def test_the_last_step_ends_in_time(
    a_job: float, most: float, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it takes to examine a job; and much is examined where that is quick."""
    clock, examined = 100.0, 0
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: clock))
    pacing = Pace(0.02)
    while True:
        assert pace.FIRST <= pacing.step <= pace.MOST
        clock += pacing.step * a_job
        examined += pacing.step
        if pacing.over():
            break
    assert clock - 100.0 <= most
    assert examined >= least


def test_a_disk_that_becomes_slow_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that took long makes the next one shorter."""
    clock = 100.0
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: clock))
    pacing = Pace(1.0)
    for _ in range(6):
        clock += 0.001
        assert not pacing.over()
    assert pacing.step == pace.MOST
    clock += 0.4
    assert not pacing.over()
    assert pacing.step == pace.MOST // 2
