"""One short run against a backend that lies: each lie is caught, and nothing else is called one."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos import history, runner
from chaos.evidence import Setup, load
from chaos.places import place_of
from chaos.plan import plan
from chaos.profile import Enough, Profile
from chaos.stage import Stage
from chaos.verdict import judge_folder
from chaos.witness import Claimed, Settled
from chaos.witnesses.intervals import sightings
from tests.chaos.sabotage import Sabotaged

PROFILE = Profile(
    tasks=600,
    sending=3.0,
    warm_up=0.5,
    faults=3.0,
    lease=1.0,
    patience=30.0,
    restart_every=0.0,
    stop_every=0.0,
    lock_every=0.0,
    poison=1,
    enough=Enough(kills=1, takeovers=0, refused=0),
)


@pytest.mark.timeout(180)
def test_every_lie_of_a_backend_is_caught(tmp_path: Path) -> None:
    """While processes are killed: the intended checker names the jobs, and no others."""
    setup = Setup(seed=7, backend="sqlite", profile=PROFILE, faults=plan(7, PROFILE))
    stage = Stage(setup, tmp_path / "run", place_of("sqlite", tmp_path))
    stage.witness = backend = Sabotaged(stage.witness, stage.place.url)
    runner.torture(stage)
    verdict = judge_folder(stage.folder)
    assert (verdict.word, verdict.missing) == ("violation", [])
    victims = backend.victims()
    assert set(victims) == {"I1", "I2", "I3", "I4", "I6"}
    for invariant, ids in victims.items():
        finding = verdict.finding(invariant)
        assert {example.id for example in finding.examples} <= ids, invariant
        assert finding.violations >= len(ids), invariant
    # Attempts that are reset do not add up either.
    invalid = {each.invariant for each in verdict.findings if each.judgement == "invalid"}
    assert invalid == {*victims, "I8"}


@pytest.mark.timeout(180)
def test_the_notes_of_workers_tell_what_was_done(tmp_path: Path) -> None:
    """While they are killed: what is concluded from notes is what was seen inside of the backend."""
    setup = Setup(seed=5, backend="sqlite", profile=PROFILE, faults=plan(5, PROFILE))
    stage = Stage(setup, tmp_path / "run", place_of("sqlite", tmp_path))
    runner.torture(stage)
    seen, notes = load(stage.folder), history.read(stage.folder / "history")
    told = sightings(notes, PROFILE.lease, seen.raw)
    assert {_claim(each) for each in told.claims} == {
        _claim(each) for many in seen.claims.values() for each in many
    }
    assert {_settle(each) for each in told.settles} == {
        _settle(each) for many in seen.settles.values() for each in many
    }
    assert len(told.settles) == PROFILE.tasks


def _claim(claim: Claimed) -> tuple[str, int, int, str]:
    return claim.id, claim.attempt, claim.before_attempt, claim.before_state


def _settle(settle: Settled) -> tuple[str, int, str, str | None]:
    return settle.id, settle.attempt, settle.state, settle.value
