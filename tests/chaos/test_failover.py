"""What may be lost when a standby takes the place of a server, and what may not."""

from __future__ import annotations

import msgspec
import pytest

from chaos.evidence import Evidence
from chaos.failover.campaign import FAILED, judge_failover
from tests.chaos import made
from tests.chaos.made import SECOND

A = "job-a"


@pytest.fixture
def evidence() -> Evidence:
    """Return a run of two jobs, acknowledged in the eleventh second; the server dies soon after."""
    found = made.honest(A, "job-b")
    found.whole = False
    found.moments = {FAILED: round(11.2 * SECOND), "promoted": 12 * SECOND}
    return found


def _lose(evidence: Evidence) -> None:
    for place in (evidence.raw, evidence.public, evidence.claims, evidence.settles, evidence.runs):
        place.pop(A)


@pytest.mark.parametrize("synchronous", [False, True])
def test_a_failover_that_took_nothing(evidence: Evidence, *, synchronous: bool) -> None:
    """The first call runs a second after the standby was promoted."""
    found = judge_failover(evidence, synchronous=synchronous)
    assert (found.word, found.acknowledged, found.lost, found.away) == ("pass", 2, 0, 1.0)


def test_a_loss_of_the_last_moment(evidence: Evidence) -> None:
    """It is what a standby that lags costs; one that is synchronous costs nothing."""
    _lose(evidence)
    found = judge_failover(evidence, synchronous=False)
    assert (found.word, found.lost) == ("pass", 1)
    assert found.oldest == pytest.approx(0.2)
    assert judge_failover(evidence, synchronous=True).word == "violation"


def test_an_older_loss_is_none_of_the_failover(evidence: Evidence) -> None:
    """What was acknowledged long before was on the standby."""
    _lose(evidence)
    evidence.moments[FAILED] = 14 * SECOND
    assert judge_failover(evidence, synchronous=False).word == "violation"


def test_a_loss_on_the_standby_is_none_either(evidence: Evidence) -> None:
    """What was acknowledged afterwards, the new server has acknowledged."""
    _lose(evidence)
    evidence.moments[FAILED] = 10 * SECOND
    assert judge_failover(evidence, synchronous=False).word == "violation"


def test_a_settle_that_is_made_again(evidence: Evidence) -> None:
    """It is lost with the rest, and told; with a synchronous standby nothing is settled twice."""
    (settle,) = evidence.settles[A]
    again = msgspec.structs.replace(settle, order=settle.order + 2, t=16 * SECOND, value="other")
    evidence.settles[A].append(again)
    assert judge_failover(evidence, synchronous=False).again == 1
    assert judge_failover(evidence, synchronous=False).word == "pass"
    assert judge_failover(evidence, synchronous=True).word == "violation"
