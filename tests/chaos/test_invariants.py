"""Each lie in a history is found by the checker that is meant to find it, and by it alone."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from chaos.evidence import Evidence, Strike
from chaos.figures import measure
from chaos.invariants import check
from chaos.profile import Enough, Profile
from chaos.returns import returns
from chaos.verdict import judge, worst
from tests.chaos import made
from tests.chaos.made import SECOND

A = "job-a"


def invalid(evidence: Evidence) -> set[str]:
    """The invariants that do not hold."""
    return {each.invariant for each in check(evidence) if each.judgement == "invalid"}


def test_an_honest_history_is_valid() -> None:
    """Also one in which a job was run twice at once, after its lease."""
    evidence = made.honest(A, "job-b")
    made.taken_over(evidence, "job-c")
    findings = check(evidence)
    assert {each.judgement for each in findings} == {"valid"}
    (exclusivity,) = (each for each in findings if each.invariant == "I5")
    assert exclusivity.counts["expired"] == exclusivity.counts["overlaps"] == 1


def _lose(evidence: Evidence) -> None:
    for place in (evidence.raw, evidence.public, evidence.claims, evidence.settles, evidence.runs):
        del place[A]


def _never_execute(evidence: Evidence) -> None:
    del evidence.runs[A]


def _leave_open(evidence: Evidence) -> None:
    del evidence.settles[A]
    made.change(evidence, A, state="running", value=None)


def _nobody_sent(evidence: Evidence) -> None:
    del evidence.sends[A]


def _refuse_and_run(evidence: Evidence) -> None:
    evidence.sends[A].answered, evidence.sends[A].failed = None, 1


def _settle_twice(evidence: Evidence) -> None:
    evidence.settles[A] *= 2


def _settle_unseen(evidence: Evidence) -> None:
    del evidence.settles[A]


def _open_again(evidence: Evidence) -> None:
    made.change(evidence, A, state="queued")


def _stale_settle(evidence: Evidence) -> None:
    # A second attempt was issued before the first one settled.
    claims = evidence.claims[A]
    made.claim(evidence, A, 14, 2, holder=made.SECOND_HOLDER)
    assert claims[-1].t < evidence.settles[A][0].t
    made.change(evidence, A, attempt=2)
    _result_of(evidence, attempt=2)


def _result_of(evidence: Evidence, *, attempt: int) -> None:
    # So that the result itself is that of the attempt that the row names.
    evidence.runs[A][0].attempt = attempt


def _settle_for_another(evidence: Evidence) -> None:
    (settle,) = evidence.settles[A]
    evidence.settles[A] = [msgspec.structs.replace(settle, holder=made.SECOND_HOLDER)]


def _settle_what_waits(evidence: Evidence) -> None:
    (settle,) = evidence.settles[A]
    evidence.settles[A] = [msgspec.structs.replace(settle, before_state="queued")]


def _issue_again(evidence: Evidence) -> None:
    made.claim(evidence, A, 12, 1)
    made.change(evidence, A, attempt=2)
    evidence.settles[A] = [msgspec.structs.replace(evidence.settles[A][0], attempt=1)]
    made.change(evidence, A, attempt=1)


def _start_twice(evidence: Evidence) -> None:
    made.run(evidence, A, 14, 15, attempt=1, pid=301)


def _overlap_within_the_lease(evidence: Evidence) -> None:
    del evidence.settles[A]
    made.claim(evidence, A, 13, 2, holder=made.SECOND_HOLDER, lease_left=0.7)
    made.run(evidence, A, 13, 15, attempt=2, pid=201)
    made.settle(evidence, A, 16)


def _overlap_after_a_release(evidence: Evidence) -> None:
    del evidence.settles[A]
    made.claim(evidence, A, 13, 2, holder=made.SECOND_HOLDER)
    evidence.claims[A][1] = msgspec.structs.replace(evidence.claims[A][1], before_state="queued")
    made.run(evidence, A, 13, 15, attempt=2, pid=201)
    made.settle(evidence, A, 16)


def _anothers_result(evidence: Evidence) -> None:
    made.change(evidence, A, value=evidence.raw["job-b"].value)


def _other_arguments(evidence: Evidence) -> None:
    evidence.sends[A].work = "0.f00d"


def _changed_after_the_settle(evidence: Evidence) -> None:
    (settle,) = evidence.settles[A]
    evidence.settles[A] = [msgspec.structs.replace(settle, value="something else")]


def _result_of_an_older_attempt(evidence: Evidence) -> None:
    made.taken_over(evidence, "job-c")
    older = evidence.runs["job-c"][0].value
    made.change(evidence, "job-c", value=older)
    (settle,) = evidence.settles["job-c"]
    evidence.settles["job-c"] = [msgspec.structs.replace(settle, value=older)]


def _show_otherwise(evidence: Evidence) -> None:
    evidence.public[A] = msgspec.structs.replace(evidence.raw[A], losses=1)


def _hide(evidence: Evidence) -> None:
    del evidence.public[A]


def _miscount(evidence: Evidence) -> None:
    made.change(evidence, A, attempt=5)


def _charge_a_failure(evidence: Evidence) -> None:
    made.change(evidence, A, failures=1)


def _quarantine(evidence: Evidence) -> None:
    made.change(evidence, A, state="quarantined", losses=1)


def _spare_poison(evidence: Evidence) -> None:
    evidence.sends[A].poison = True


def _work_for_the_dead(evidence: Evidence) -> None:
    evidence.strikes.append(
        Strike(t=12 * SECOND, nemesis="kill at settle", pid=100, until=12 * SECOND)
    )


def _recover_late(evidence: Evidence) -> None:
    evidence.healed = evidence.settles[A][0].t - 60 * SECOND
    for moments in (evidence.runs[A], evidence.runs["job-b"]):
        moments[0].started = evidence.healed - 1


def _damage(evidence: Evidence) -> None:
    evidence.damage = "row 7 missing from index"


@pytest.mark.parametrize(
    ("lie", "found_by"),
    [
        (_lose, {"I1"}),
        (_never_execute, {"I1", "I6"}),
        (_leave_open, {"I1", "I8"}),
        (_nobody_sent, {"I2"}),
        (_refuse_and_run, {"I2"}),
        (_settle_twice, {"I3"}),
        (_settle_unseen, {"I3"}),
        (_open_again, {"I1", "I3", "I8"}),
        (_stale_settle, {"I4"}),
        (_settle_for_another, {"I4"}),
        (_settle_what_waits, {"I4"}),
        (_issue_again, {"I4", "I8"}),
        (_start_twice, {"I4"}),
        (_overlap_within_the_lease, {"I5"}),
        (_overlap_after_a_release, {"I5"}),
        (_anothers_result, {"I6"}),
        (_other_arguments, {"I6"}),
        (_changed_after_the_settle, {"I6"}),
        (_result_of_an_older_attempt, {"I6"}),
        (_show_otherwise, {"I8"}),
        (_hide, {"I8"}),
        (_miscount, {"I6", "I8"}),
        (_charge_a_failure, {"I8"}),
        (_quarantine, {"I15"}),
        (_spare_poison, {"I15"}),
        (_work_for_the_dead, {"F10"}),
        (_recover_late, {"I16"}),
        (_damage, {"S"}),
    ],
)
def test_a_lie_is_found(lie: Callable[[Evidence], None], found_by: set[str]) -> None:
    """What is wrong is found by the checkers that are meant to, and calls no other invalid."""
    evidence = made.honest(A, "job-b")
    lie(evidence)
    assert invalid(evidence) == found_by


def test_a_violation_comes_with_the_story_of_the_job() -> None:
    """At most ten examples, each with a timeline from all witnesses."""
    evidence = made.honest(*(f"job-{n:02}" for n in range(15)))
    evidence.settles = {job_id: each * 2 for job_id, each in evidence.settles.items()}
    verdict = judge(evidence)
    finding = verdict.finding("I3")
    assert (verdict.word, verdict.exit_code) == ("violation", 1)
    assert (finding.violations, len(finding.examples)) == (15, 10)
    story = "\n".join(verdict.timelines["job-00"])
    for words in ("send acknowledged", "claimed as attempt 1", "starts in 101", "settled as"):
        assert words in story


def test_an_overlap_that_the_witness_did_not_see_is_unknown() -> None:
    """And what is unknown is no pass."""
    evidence = made.honest(A)
    made.taken_over(evidence, "job-c")
    evidence.claims["job-c"][1] = msgspec.structs.replace(
        evidence.claims["job-c"][1], lease_left=None
    )
    evidence.profile = Profile(enough=Enough(kills=0, takeovers=0, refused=0))
    verdict = judge(evidence)
    assert verdict.finding("I5").judgement == "unknown"
    assert (verdict.word, verdict.exit_code) == ("inconclusive", 2)


def test_the_dead_may_be_overtaken_at_once() -> None:
    """A lease is void when its holder was killed, before it has expired."""
    evidence = made.honest(A)
    _overlap_within_the_lease(evidence)
    strike = Strike(t=12 * SECOND, nemesis="kill supervisor", pid=100, until=12 * SECOND)
    evidence.strikes.append(strike)
    assert invalid(evidence) == {"F10"}  # it was overtaken, and ran on for two seconds


def test_poison_belongs_in_quarantine() -> None:
    """There, and nowhere else."""
    evidence = made.honest(A)
    _spare_poison(evidence)
    made.change(evidence, A, state="quarantined", losses=1, value=None)
    (settle,) = evidence.settles[A]
    evidence.settles[A] = [msgspec.structs.replace(settle, state="quarantined", value=None)]
    assert invalid(evidence) == set()


def test_a_value_that_was_carried_over_is_no_lie() -> None:
    """A worker that claims again what it still runs settles it under the newer attempt."""
    evidence = made.honest(A)
    del evidence.settles[A]
    made.claim(evidence, A, 14, 2)
    made.settle(evidence, A, 15)
    assert invalid(evidence) == set()
    (integrity,) = (each for each in check(evidence) if each.invariant == "I6")
    assert integrity.counts["carried"] == 1


def test_a_run_without_faults_is_inconclusive() -> None:
    """Nothing went wrong in it, so that nothing is shown."""
    verdict = judge(made.honest(A))
    assert (verdict.word, verdict.exit_code) == ("inconclusive", 2)
    assert len(verdict.missing) == 3


def test_faults_that_bit_make_a_pass() -> None:
    """A kill in the middle of a run, a job taken over, and a settle that was refused."""
    evidence = made.honest(A)
    made.taken_over(evidence, "job-c")
    evidence.strikes.append(Strike(t=22 * SECOND, nemesis="kill child", pid=201, until=22 * SECOND))
    evidence.strikes.append(Strike(t=9 * SECOND, nemesis="kill child", pid=101, until=9 * SECOND))
    evidence.refused = 1
    evidence.profile = Profile(enough=Enough(kills=1, takeovers=1, refused=1))
    figures = measure(evidence, overlaps=1)
    assert figures.strikes == {"stop supervisor": 1, "kill child": 2}
    assert figures.effective == {"stop supervisor": 1, "kill child": 1}
    assert (figures.kills, figures.takeovers, figures.reruns) == (1, 1, 1)
    assert judge(evidence).word == "pass"


def test_how_soon_work_goes_on_after_an_outage() -> None:
    """The first call that begins afterwards; not counted against it if a worker was away itself."""
    evidence = made.honest(A)
    made.add(evidence, "job-c")
    evidence.runs["job-c"][0].started = 40 * SECOND
    outage = Strike(t=20 * SECOND, nemesis="server killed", pid=7, until=22 * SECOND)
    evidence.strikes.append(outage)
    (found,) = returns(evidence)
    assert (found.lasted, found.after, found.undisturbed) == (2.0, 18.0, True)
    assert invalid(evidence) >= {"I18"}
    stop = Strike(t=30 * SECOND, nemesis="stop supervisor", pid=100, until=35 * SECOND)
    evidence.strikes.append(stop)
    assert not returns(evidence)[0].undisturbed
    assert "I18" not in invalid(evidence)


def test_the_worst_of_several_runs_counts() -> None:
    """A violation is worse than not knowing, and nothing run is not a pass."""
    assert worst(["pass", "pass"]) == 0
    assert worst(["pass", "violation", "harness error"]) == 1
    assert worst(["pass", "inconclusive"]) == 2
    assert worst(["inconclusive", "harness error", "pass"]) == 3
    assert worst([]) == 2
