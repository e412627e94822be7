"""A worker dies at the point that is armed for it, with work in hand, and says when."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos import history
from chaos.evidence import Setup
from chaos.places import place_of
from chaos.points import NEMESIS, POINTS
from chaos.profile import Profile
from chaos.stage import Stage
from tests.conftest import Eventually

# It prunes when it likes: some seconds after its start.
SOON = [point for point in POINTS if point != "prune"]


@pytest.mark.parametrize("point", SOON)
def test_a_worker_dies_where_it_is_told_to(
    point: str, tmp_path: Path, eventually: Eventually
) -> None:
    """And the strike is in the history, by its own hand."""
    profile = Profile(tasks=20, workers=1, children=1, producers=1, sending=0.2, poison=0)
    setup = Setup(seed=1, backend="sqlite", profile=profile)
    stage = Stage(setup, tmp_path / "run", place_of("sqlite", tmp_path))
    try:
        stage.prepare()
        stage.start_workers()
        (worker,) = stage.crew.workers
        stage.arm(worker.pid, point)
        stage.start_producers()
        eventually(lambda: not worker.alive, timeout=20)
    finally:
        stage.end()
    records = history.read(stage.folder / "history")
    strikes = [(each.op, each.sup) for each in records if each.type == "strike"]
    assert strikes == [(NEMESIS + point, worker.pid)]
    assert worker.exit_code == -9
