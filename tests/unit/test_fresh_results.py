"""Results that a worker has just settled are handed over with what needs them, and no others."""

from __future__ import annotations

import time
from typing import Any

import pytest
from msgspec.structs import replace

from ropeway.graph import Need, Place, Use, node_id
from ropeway.graph import run_id as run_of
from ropeway.ids import new_id
from ropeway.message import Delivery, Fence, Message, Terms
from ropeway.runs.feeding import in_place_of
from ropeway.states import State
from ropeway.transition import Arrive, Finish, Transition
from ropeway.worker.feeding import Fresh

RUN = run_of(new_id())
WAITS = Place(RUN, "last", ("1.0",), (Need(1), Need(2)), (Use(1, ("x",)), Use(2, ("more", "y"))))
BODY = b'{"x":null,"more":{"y":null}}'


def settled(node: int, value: bytes | None, *, turn: int = 1, **more: Any) -> Transition:
    """A node has ended, and arrives at the third one."""
    fields = {"settle": Finish(State.SUCCEEDED, value), **more}
    fence = Fence(node_id(RUN, node), 1, "me")
    return Transition(fence=fence, arrive=(Arrive(f"run/{RUN}/{turn}.3", "1"),), **fields)


def waiting(place: Place = WAITS, body: bytes = BODY) -> Delivery:
    """The third one comes."""
    message = Message(id=node_id(RUN, 3), task="last", body=body, terms=Terms(node=place))
    return Delivery(message=message, fence=Fence(message.id, 1, "me"))


def test_arguments_are_complete() -> None:
    """All that it needs is put where it belongs; what it arrives at stays.

    Broken: the child asks for what its supervisor knows, or the end of the node readies nothing.
    """
    fresh = Fresh()
    fresh.note(settled(1, b"[1]"))
    assert fresh.fed(waiting()) == waiting()  # one of the two is not known
    fresh.note(settled(2, None))
    message = fresh.fed(waiting()).message
    assert message.body == b'{"x":[1],"more":{"y":null}}'
    assert message.terms is not None
    assert message.terms.node == replace(WAITS, needs=(), uses=())


@pytest.mark.parametrize(
    "other",
    [
        settled(2, b"2", turn=2),
        settled(2, b"2", settle=Finish(State.FAILED)),
        settled(2, in_place_of(RUN)),
        settled(2, b"2" * 20_000),
        settled(1, b"2"),
    ],
)
def test_what_is_not_sure_is_looked_up(other: Transition) -> None:
    """A result of another turn, a failure, a run in the place of a result, a large one, another node.

    Broken: a retry is fed with what failed to be replaced, or a node runs that must not.
    """
    fresh = Fresh()
    fresh.note(settled(1, b"1"))
    fresh.note(other)
    assert fresh.fed(waiting()) == waiting()


@pytest.mark.parametrize(
    "place",
    [
        replace(WAITS, needs=(Need(1), Need(2, "done"))),
        replace(WAITS, needs=(Need(1), Need(2, "items"))),
        replace(WAITS, uses=(Use(1, ("x",), many=True),)),
        replace(WAITS, next=("2.0",)),
        replace(WAITS, next=(f"run/{RUN}/1.0",)),
        replace(WAITS, needs=()),
    ],
)
def test_who_needs_more_looks(place: Place) -> None:
    """Conditions, items of maps, another turn, a run's own end: these are decided where it runs."""
    fresh = Fresh()
    fresh.note(settled(1, b"1"))
    fresh.note(settled(2, b"2"))
    assert fresh.fed(waiting(place)) == waiting(place)


def test_they_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a moment, and the oldest when there are many.

    Broken: the memory of a worker grows with what it has done.
    """
    fresh = Fresh()
    fresh.note(settled(1, b"1"))
    for node in range(2, 600):
        fresh.note(settled(node, b"2"))
    assert fresh.fed(waiting()) == waiting()
    fresh.note(settled(1, b"1"))
    fresh.note(settled(2, b"2"))
    assert fresh.fed(waiting()) != waiting()
    later = time.monotonic() + 6
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert fresh.fed(waiting()) == waiting()
