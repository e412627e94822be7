"""One short run on each server, which is killed, cut off and locked while workers are killed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos import runner
from chaos.evidence import Setup
from chaos.places import place_of
from chaos.places.strikes import KINDS
from chaos.plan import plan
from chaos.profile import Enough, Profile
from chaos.stage import Stage
from chaos.verdict import judge_folder
from tests.servers.process import Missing

PROFILE = Profile(
    tasks=600,
    sending=3.0,
    warm_up=0.2,
    faults=4.0,
    lease=1.0,
    patience=60.0,
    restart_every=0.0,
    stop_every=0.0,
    lock_every=0.0,
    server_every=0.8,
    server_leases=(0.2, 0.5),
    poison=1,
    # How many of its strikes meet work is a matter of luck in so short a run.
    enough=Enough(kills=0, takeovers=0, refused=0),
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that other users can enter, as which a server may run."""
    with tempfile.TemporaryDirectory(prefix="torture-") as made:
        yield Path(made)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("backend", ["redis", "postgres"])
def test_nothing_is_lost_and_nothing_settled_twice(backend: str, folder: Path) -> None:
    """By the notes of those who asked, and by what the server says at the end."""
    faults = plan(3, PROFILE, server=True)
    setup = Setup(seed=3, backend=backend, profile=PROFILE, faults=faults)
    try:
        place = place_of(backend, folder)
    except Missing as missing:
        pytest.skip(str(missing))
    stage = Stage(setup, folder / "run", place)
    runner.torture(stage)
    verdict = judge_folder(stage.folder)
    wrong = [each for each in verdict.findings if each.judgement == "invalid"]
    assert (wrong, verdict.missing) == ([], [])
    assert verdict.figures.acknowledged == PROFILE.tasks
    assert sum(verdict.figures.strikes.get(name, 0) for name in KINDS) >= 3
