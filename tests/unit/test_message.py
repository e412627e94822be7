"""The values that travel: their sizes, digests and sums."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ropeway.message import Delivery, Failure, Fence, JobRecord, Message, job_key
from ropeway.retry import RetryPolicy
from ropeway.states import State
from ropeway.transition import (
    APPLIED,
    REPEATED,
    Answer,
    Drop,
    Finish,
    Put,
    Reject,
    Release,
    Settle,
    Transition,
    digest,
    size,
)

FENCE = Fence("id", 2, "holder")
FINISH = Transition(fence=FENCE, settle=Finish(State.SUCCEEDED, b"1"))

SETTLES: list[Settle] = [
    Finish(State.SUCCEEDED),
    Finish(State.SUCCEEDED, b""),
    Finish(State.SUCCEEDED, b"1"),
    Finish(State.FAILED, b"1"),
    Finish(State.FAILED, b"1", Failure(type="a", message="b")),
    Finish(State.FAILED, b"1", Failure(type="b", message="a")),
    Finish(State.SUCCEEDED, keep=1.0),
    Finish(State.SUCCEEDED, counts="failures"),
    Release("failures"),
    Release("none"),
    Release("failures", delay=0.0),
    Release("failures", delay=1.0),
    Release("failures", at=1.0),
    Reject("a"),
    Reject("a", "b"),
    Reject("a", "b", "losses"),
]

OTHERS = [
    FINISH,
    replace(FINISH, fence=None),
    replace(FINISH, fence=Fence("id", 3, "holder")),
    replace(FINISH, fence=Fence("id", 2, "other")),
    replace(FINISH, fence=Fence("other", 2, "holder")),
    replace(FINISH, settle=None),
    replace(FINISH, expect={"a": 0}),
    replace(FINISH, expect={"a": 1}),
    replace(FINISH, put=(Put("a", b""),)),
    replace(FINISH, put=(Put("a", b"1"),)),
    replace(FINISH, put=(Put("a", b""), Put("a", b""))),
    replace(FINISH, drop=(Drop("a"),)),
    replace(FINISH, publish=(Message(id="a", task="t"),)),
    replace(FINISH, publish=(Message(id="a", task="t", headers={"a": "b"}),)),
    replace(FINISH, publish=(Message(id="a", task="t", delay=1.0),)),
]


def delivery(attempt: int = 1, **fields: Any) -> Delivery:
    """Make a delivery of a message that was sent at 100."""
    fence = Fence("id", attempt, "holder")
    return Delivery(
        **{"message": Message(id="id", task="t"), "enqueued": 100.0, **fields, "fence": fence}
    )


@pytest.mark.parametrize("settle", SETTLES)
def test_a_digest_is_of_the_content(settle: Settle) -> None:
    """Two transitions that are equal have one digest, wherever they were made."""
    one = Transition(fence=FENCE, settle=settle)
    other = msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=Transition)
    assert digest(one) == digest(other)
    assert len(digest(one)) == 8


def test_digests_tell_settles_apart() -> None:
    """Each field counts, and nothing is the same as something empty."""
    assert len({digest(Transition(fence=FENCE, settle=each)) for each in SETTLES}) == len(SETTLES)


def test_digests_tell_transitions_apart() -> None:
    """Each part of a transition counts."""
    assert len({digest(each) for each in OTHERS}) == len(OTHERS)


@given(st.lists(st.binary(max_size=50)), st.lists(st.binary(max_size=50)), st.binary(max_size=50))
def test_a_size_is_of_the_content(bodies: list[bytes], values: list[bytes], result: bytes) -> None:
    """The bytes of users are counted: bodies, records and the result."""
    transition = Transition(
        publish=tuple(Message(id="", task="", body=body) for body in bodies),
        put=tuple(Put("", value) for value in values),
        settle=Finish(State.SUCCEEDED, result),
    )
    assert size(transition) == sum(map(len, [*bodies, *values, result]))


def test_what_has_no_content_has_no_size() -> None:
    """Settles without a result count for nothing."""
    assert size(Transition()) == size(Transition(settle=Finish(State.FAILED))) == 0
    assert size(Transition(settle=Release("none"))) == size(Transition(settle=Reject("a"))) == 0


@pytest.mark.parametrize(
    ("attempt", "charged", "expected"),
    [
        (1, {}, 0),
        (2, {}, 1),
        (4, {"failures": 1, "losses": 1, "releases": 1}, 0),
        (7, {"failures": 2, "releases": 3}, 1),
    ],
)
def test_abandoned_is_what_nothing_explains(
    attempt: int, charged: dict[str, int], expected: int
) -> None:
    """Of the attempts before this one, those that no counter was charged for."""
    assert delivery(attempt, **charged).abandoned == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 100.0),
        ({"delay": 5.0}, 105.0),
        ({"due": 150.0}, 150.0),
        ({"due": 50.0}, 100.0),
        ({"due": 150.0, "delay": 5.0}, 150.0),
    ],
)
def test_first_due(fields: dict[str, float], expected: float) -> None:
    """A job is first allowed to run when it is due, and not before it was sent."""
    message = Message(id="id", task="t", **fields)  # type: ignore[arg-type]  # all are floats
    assert delivery(message=message, due=999.0).first_due == expected


def test_answers() -> None:
    """What was repeated stands as well as what was applied."""
    assert (APPLIED.ok, REPEATED.ok) == (True, True)
    assert not Answer(status="refused", reason="lost").ok


def test_values_cannot_be_changed() -> None:
    """Whoever was handed a value can rely on it."""
    for value in (Message(id="a", task="t"), FENCE, FINISH, delivery(), APPLIED, RetryPolicy()):
        with pytest.raises(AttributeError):
            setattr(value, value.__struct_fields__[0], None)


def test_messages_survive_the_wire() -> None:
    """In both formats a message and a record are the same after the journey."""
    whole = Message(
        id="a",
        task="t",
        body=b"\xff\x00",
        key="k",
        due=1.5,
        policy=RetryPolicy(retries=1, non_retryable=("a", "b")),
        headers={"a": "ä"},
        signature=b"\xff",
    )
    for codec in (msgspec.json, msgspec.msgpack):
        assert codec.decode(codec.encode(whole), type=Message) == whole
    record = JobRecord(message=whole, state=State.FAILED, error=Failure(type="a", message="b"))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=JobRecord) == record


def test_job_keys_are_the_ids_of_jobs() -> None:
    """Each job has a key of its own."""
    assert job_key("a") != job_key("b")
    assert job_key("a").endswith("a")
