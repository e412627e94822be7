"""What a run on a cluster of RabbitMQ must show, and how long sends stood still."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.cluster.campaign import ALL, LEADER, judge_cluster
from chaos.cluster.network import Network, refuse_where_impossible
from chaos.errors import HarnessError
from chaos.evidence import Evidence
from chaos.history import Record
from tests.chaos import made
from tests.chaos.made import SECOND

A = "job-a"


@pytest.fixture
def evidence() -> Evidence:
    """Return an honest run of two jobs, in which the leader died, and then all nodes."""
    found = made.honest(A, "job-b")
    found.moments = {LEADER: 20 * SECOND, ALL: 30 * SECOND, "over": 40 * SECOND}
    return found


def _answers(process: int, *seconds: float) -> list[Record]:
    return [
        Record(t=round(each * SECOND), p=process, type="ok", op="send", id=A) for each in seconds
    ]


def test_gaps_are_those_of_everybody_and_of_one(evidence: Evidence) -> None:
    """One publisher hears nothing for seconds while the other goes on; then neither does."""
    first = _answers(1, 19, *range(20, 32), 35, 36, 37, 38, 39)
    second = _answers(2, 19, 20, 27, 28, 29, 30, 37, 38)
    found = judge_cluster(evidence, first + second)
    assert (found.word, found.acknowledged, found.lost, found.again) == ("pass", 2, 0, 0)
    assert found.gaps == {LEADER: (1.0, 7.0), ALL: (4.0, 7.0)}


def test_a_fault_after_which_nobody_was_answered_is_one_long_gap(evidence: Evidence) -> None:
    """Silence until the end is no quick recovery."""
    found = judge_cluster(evidence, _answers(1, *range(19, 31)))
    assert found.gaps[ALL] == (10.0, 10.0)


def test_a_confirmed_message_that_is_gone(evidence: Evidence) -> None:
    """The broker said that it has it."""
    for place in (evidence.raw, evidence.public, evidence.claims, evidence.settles, evidence.runs):
        place.pop(A)
    found = judge_cluster(evidence, [])
    assert (found.word, found.lost) == ("violation", 1)


def test_a_message_that_was_settled_twice(evidence: Evidence) -> None:
    """Two workers had it, and the store took both answers."""
    evidence.settles[A] *= 2
    found = judge_cluster(evidence, [])
    assert (found.word, found.again) == ("violation", 1)


def test_nothing_is_made_without_the_right_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started, and with a word why."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(HarnessError, match="needs root"):
        refuse_where_impossible()


def test_names_of_interfaces_are_short_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux takes 15 characters; the greatest id of a process must fit."""
    monkeypatch.setattr("os.getpid", lambda: 4_194_304)
    calls: list[Any] = []
    monkeypatch.setattr("chaos.cluster.network._ip", lambda words: calls.append(words.split()))
    Network(3).make()
    names = {word for words in calls for word in words if word.startswith("rw")}
    assert len(names) == 7
    assert max(map(len, names)) <= 15
