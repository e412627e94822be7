"""What is concluded from the notes of workers: what they prove, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.history import Record
from chaos.notes import CLAIM, EXTEND, SETTLE
from chaos.witness import Row, Sightings
from chaos.witnesses.intervals import CUT, sightings

JOB, SECOND, LEASE = "job-a", 1_000_000_000, 2.0
ONE, TWO = 100, 200


class Notes:
    """The notes of some workers, at seconds that the test names."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def claim(self, asked: float, had: float, attempt: int, pid: int = ONE) -> None:
        """A claim came back."""
        self._add(had, pid, "ok", CLAIM, attempt=attempt, since=round(asked * SECOND))

    def extend(self, asked: float, had: float, attempt: int, pid: int = ONE) -> None:
        """A lease was renewed."""
        self._add(had, pid, "ok", EXTEND, attempt=attempt, since=round(asked * SECOND))

    def settle(
        self,
        asked: float,
        answered: float,
        attempt: int,
        answer: str = "applied",
        *,
        pid: int = ONE,
        state: str = "succeeded",
    ) -> None:
        """A settle was asked for; without an `answer` nobody knows."""
        self._add(asked, pid, "invoke", SETTLE, attempt=attempt, note=state, v=f"{attempt}")
        if answer:
            kind = "fail" if answer == "refused" else "ok"
            self._add(answered, pid, kind, SETTLE, attempt=attempt, note=answer)

    def seen(self, row: Row | None = None) -> Sightings:
        """What is concluded."""
        ordered = sorted(self.records, key=lambda each: each.t)
        return sightings(ordered, LEASE, {} if row is None else {row.id: row})

    def _add(self, t: float, pid: int, type: Any, op: str, **fields: Any) -> None:
        record = Record(t=round(t * SECOND), p=pid, type=type, op=op, id=JOB, **fields)
        self.records.append(record)


@pytest.fixture
def notes() -> Notes:
    """Return no notes."""
    return Notes()


def stored(attempt: int, state: str = "succeeded") -> Row:
    """What is stored of the job at the end."""
    return Row(id=JOB, state=state, attempt=attempt, failures=0, losses=0, releases=0)


def test_a_claim_and_its_settle(notes: Notes) -> None:
    """One of each, in this order; what was queued had no lease."""
    notes.claim(1, 1.1, 1)
    notes.settle(2, 2.1, 1)
    seen = notes.seen(stored(1))
    (claim,), (settle,) = seen.claims, seen.settles
    assert claim.order < settle.order
    assert (claim.before_state, claim.lease_left, claim.holder) == ("queued", None, "100")
    assert (settle.attempt, settle.state, settle.value, settle.holder) == (
        1,
        "succeeded",
        "1",
        "100",
    )
    assert not seen.whole


def test_the_lease_that_was_left_is_never_told_too_long(notes: Notes) -> None:
    """It began when it was asked for, at the earliest; the claim was made when it was had at the latest."""
    notes.claim(1, 1.5, 1)
    notes.extend(2, 2.5, 1)
    notes.claim(3, 3.25, 2, TWO)
    assert notes.seen().claims[1].lease_left == pytest.approx(2 + LEASE - 3.25)
    assert notes.seen().claims[1].before_state == "running"


def test_a_claim_of_which_nobody_heard(notes: Notes) -> None:
    """It was made before the next one was had."""
    notes.claim(1, 1.1, 1)
    notes.claim(9, 9.1, 3, TWO)
    claims = notes.seen().claims
    assert [(each.attempt, each.before_attempt) for each in claims] == [(1, 0), (2, 1), (3, 2)]
    assert claims[1].lease_left == pytest.approx(1 + LEASE - 9.1)
    assert (claims[2].lease_left, claims[2].before_holder) == (None, None)


def test_what_was_given_back_is_queued(notes: Notes) -> None:
    """Also if nobody had the answer; but not if it was refused."""
    notes.claim(1, 1.1, 1)
    notes.settle(2, 0, 1, "", state="queued")
    notes.claim(3, 3.1, 2, TWO)
    notes.settle(4, 4.1, 2, "refused", state="queued", pid=TWO)
    notes.claim(8, 8.1, 3)
    assert [each.before_state for each in notes.seen().claims] == ["queued", "queued", "running"]
    assert notes.seen().settles == []


def test_what_was_given_back_too_late(notes: Notes) -> None:
    """Another had taken it over by then, as its lease was over."""
    notes.claim(1, 1.1, 1)
    notes.claim(4, 4.1, 2, TWO)
    notes.settle(5, 0, 1, "", state="queued")
    assert [each.before_state for each in notes.seen().claims] == ["queued", "running"]


@pytest.mark.parametrize(
    ("answers", "count"),
    [
        (["applied"], 1),
        (["", "applied"], 1),
        (["", "repeated"], 1),
        (["applied", "repeated"], 1),
        (["repeated", "repeated"], 1),
        (["applied", "applied"], 2),
        (["applied", "repeated", "applied"], 2),
        (["refused"], 0),
        (["", "refused"], 1),
        ([""], 1),
    ],
)
def test_how_often_it_was_settled(notes: Notes, answers: list[str], count: int) -> None:
    """A repetition is none; twice applied is twice; without an answer it is as what is stored says."""
    notes.claim(1, 1.1, 1)
    for number, answer in enumerate(answers):
        notes.settle(2 + number, 2.1 + number, 1, answer)
    assert len(notes.seen(stored(1)).settles) == count


def test_a_settle_without_an_answer_that_explains_nothing(notes: Notes) -> None:
    """What is stored is of another attempt."""
    notes.claim(1, 1.1, 1)
    notes.settle(2, 0, 1, "")
    assert notes.seen(stored(2)).settles == []
    assert notes.seen(stored(1, "queued")).settles == []


def test_two_attempts_that_settle(notes: Notes) -> None:
    """Both are told, and that the first was over when the second had been issued."""
    notes.claim(1, 1.1, 1)
    notes.claim(4, 4.1, 2, TWO)
    notes.settle(5, 5.1, 1)
    notes.settle(6, 6.1, 2, pid=TWO)
    seen = notes.seen(stored(2))
    assert [each.attempt for each in seen.settles] == [1, 2]
    assert seen.claims[1].order < seen.settles[0].order


def test_a_settle_after_it_was_given_back(notes: Notes) -> None:
    """It was queued then."""
    notes.claim(1, 1.1, 1)
    notes.settle(2, 2.1, 1, state="queued")
    notes.settle(3, 3.1, 1)
    assert [each.before_state for each in notes.seen(stored(1)).settles] == ["queued"]


def test_attempts_that_go_back(notes: Notes) -> None:
    """Of claims that may have met the number decides; of others the time."""
    notes.claim(1, 4, 1)
    notes.claim(2, 3, 2, TWO)
    assert [each.attempt for each in notes.seen().claims] == [1, 2]
    notes.claim(8, 9, 1, TWO)
    assert [each.attempt for each in notes.seen().claims] == [2, 1, 1]


def test_answers_that_came_when_the_power_was_cut(notes: Notes) -> None:
    """Nobody had them."""
    notes.claim(1, 1.1, 1)
    notes.settle(2, 3.1, 1)
    notes.records.append(Record(t=3 * SECOND, p=1, type="phase", op=CUT))
    assert len(notes.seen(stored(1)).settles) == 1
    assert notes.seen(stored(1, "queued")).settles == []
