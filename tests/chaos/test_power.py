"""What counts as lost in a power cut, and that no disk stays behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.errors import HarnessError
from chaos.power.disk import Disk, refuse_where_impossible
from chaos.power.verdict import Aftermath, judge_cut
from chaos.witness import Row
from tests.chaos import made

A = "job-00"


@pytest.fixture
def aftermath() -> Aftermath:
    """Return a cut that took nothing: 150 jobs were sent, and their results seen."""
    evidence = made.honest(*(f"job-{n:02}" for n in range(150)))
    seen = {job_id: row.value or "" for job_id, row in evidence.raw.items()}
    return Aftermath(evidence=evidence, seen=seen, after=dict(evidence.raw))


def test_a_cut_that_took_nothing(aftermath: Aftermath) -> None:
    """Everything that was acknowledged and seen is there."""
    verdict = judge_cut(aftermath, "disk", "both")
    assert (verdict.word, verdict.lost, verdict.results_lost) == ("pass", 0, 0)
    assert (verdict.acknowledged, verdict.seen) == (150, 150)


def test_an_acknowledged_call_that_is_gone(aftermath: Aftermath) -> None:
    """With durability a violation; without it a measured loss."""
    del aftermath.after[A], aftermath.evidence.raw[A], aftermath.evidence.public[A]
    del aftermath.evidence.settles[A], aftermath.seen[A]
    verdict = judge_cut(aftermath, "disk", "both")
    assert (verdict.word, verdict.lost, verdict.results_lost) == ("violation", 1, 0)
    assert judge_cut(aftermath, "process", "both").word == "pass"
    assert judge_cut(aftermath, "process", "both").lost == 1


def test_a_result_that_was_seen_and_is_gone(aftermath: Aftermath) -> None:
    """Even if the job is run again later, with another result."""
    aftermath.after[A] = Row(id=A, state="running", attempt=1, failures=0, losses=0, releases=0)
    verdict = judge_cut(aftermath, "disk", "both")
    assert (verdict.word, verdict.lost, verdict.results_lost) == ("violation", 0, 1)


def test_a_result_that_changes_later(aftermath: Aftermath) -> None:
    """A result that somebody has seen stays as it is."""
    aftermath.seen[A] = "another"
    assert judge_cut(aftermath, "disk", "both").results_lost == 1


def test_damage_is_a_violation_in_any_case(aftermath: Aftermath) -> None:
    """A power cut may take what was not flushed; it may not break what is left."""
    aftermath.evidence.damage = "malformed"
    assert judge_cut(aftermath, "process", "both").word == "violation"


def test_a_settle_that_was_lost_is_made_again(aftermath: Aftermath) -> None:
    """Whoever believes the notes of workers sees two, of which one was lost with the rest."""
    evidence = aftermath.evidence
    evidence.settles[A] = [evidence.settles[A][0]] * 2
    made.claim(evidence, A, 16, 2)
    assert judge_cut(aftermath, "process", "both").word == "violation"
    evidence.whole = False
    assert judge_cut(aftermath, "process", "both").word == "pass"
    assert judge_cut(aftermath, "disk", "both").word == "violation"


def test_a_cut_before_anything_was_done_says_nothing(aftermath: Aftermath) -> None:
    """It is inconclusive, not a pass."""
    aftermath.seen.clear()
    assert judge_cut(aftermath, "disk", "both").word == "inconclusive"
    assert judge_cut(aftermath, "disk", "sending").word == "pass"
    aftermath.evidence.sends.clear()
    assert judge_cut(aftermath, "disk", "sending").word != "pass"


def test_a_disk_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the tools there is one sentence, and no folder."""
    monkeypatch.setattr("chaos.power.disk._MEMORY", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HarnessError, match="power cuts need"):
        refuse_where_impossible()
    with pytest.raises((HarnessError, FileNotFoundError)), Disk():
        pass
    assert list(tmp_path.iterdir()) == []
