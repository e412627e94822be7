"""The broker without transactions, and what a pair gives to which half."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.broker_half import BrokerHalf
from ropeway.claims import Claim
from ropeway.clock import ManualClock
from ropeway.message import DEFAULT_QUEUE, Fence, Message
from ropeway.states import State
from ropeway.testing.conformance import HalfCases
from ropeway.testing.conformance.half import Connect
from ropeway.testing.conformance.steps import message
from ropeway.testing.halves import FakeBroker
from ropeway.transition import Answer, Cancel, Drop, Finish, Put, Reject, Release, Transition
from ropeway.wrappers.delegate import Delegate
from ropeway.wrappers.halves import OWED, called_off, ending, owed, part
from ropeway.wrappers.paired import Paired

FENCE = Fence("j", 1, "me")
PLAIN, LATER = message(), message(delay=1.0)
DONE = Finish(State.SUCCEEDED)


class TestFake(HalfCases):
    """In this process."""

    @pytest.fixture
    def connect(self) -> Connect:
        broker = FakeBroker()

        async def connected() -> BrokerHalf:
            return broker.connect()

        return connected


@pytest.mark.parametrize(
    ("transition", "sent", "stored"),
    [
        (Transition(publish=(PLAIN,)), (PLAIN,), ()),
        (Transition(publish=(LATER,)), (), (LATER,)),
        (Transition(publish=(PLAIN, LATER)), (), (PLAIN, LATER)),
        (Transition(publish=(PLAIN,), put=(Put("r", b""),)), (), (PLAIN,)),
        (Transition(publish=(PLAIN, PLAIN)), (), (PLAIN, PLAIN)),
        (Transition(publish=(PLAIN,), fence=FENCE), (), (PLAIN,)),
        (Transition(publish=(PLAIN,), fence=FENCE, settle=Release("none")), (), (PLAIN,)),
        (Transition(publish=(PLAIN, LATER), fence=FENCE, settle=DONE), (PLAIN,), (LATER,)),
        (Transition(publish=(PLAIN,), fence=FENCE, settle=Reject("bad")), (PLAIN,), ()),
        (Transition(publish=(LATER,), fence=FENCE, settle=DONE), (), (LATER,)),
        (Transition(drop=(Drop("r"),)), (), ()),
    ],
)
def test_which_half_gets_what(
    transition: Transition, sent: tuple[Message, ...], stored: tuple[Message, ...]
) -> None:
    """Each message goes to one half; what a settle owes is in the list that the store keeps."""
    shared = part(transition)
    assert shared.owed == sent
    assert (shared.store.publish if shared.store else ()) == stored
    lists = [each for each in (shared.store.put if shared.store else ()) if OWED in each.key]
    assert [(each.key, owed(each.value)) for each in lists] == (
        [(OWED + "j", sent)] if transition.settle and sent else []
    )


class Recording(Delegate):
    """A store that remembers what it was asked to commit."""

    def __init__(self, inner: MemoryBackend) -> None:
        super().__init__(inner)
        self.asked: list[Transition] = []

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        self.asked += transitions
        return await super().commit(transitions)


async def test_a_message_that_was_called_off_ends_as_it_arrives() -> None:
    """The store did not know the job when it was cancelled, so it keeps a note for its arrival."""
    broker, store = FakeBroker(), Recording(MemoryBackend(ManualClock()))
    pair = Paired(broker.connect(), store)
    await pair.commit([Transition(publish=(PLAIN,))])
    (answer,) = await pair.commit([Transition(cancel=(Cancel(PLAIN.id, keep=9.0),))])
    assert (answer.status, answer.versions) == ("applied", {})
    assert store.asked[0].put == (Put(called_off(PLAIN.id), b"", ttl=9.0),)
    await pair.receive([Claim(DEFAULT_QUEUE, 1)], "me", 60.0)
    assert store.asked[-1] == ending(PLAIN)
