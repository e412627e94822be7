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
from ropeway.store import Filter
from ropeway.testing.conformance import HalfCases
from ropeway.testing.conformance.half import Connect
from ropeway.testing.conformance.steps import message
from ropeway.testing.halves import FakeBroker
from ropeway.transition import (
    Answer,
    Cancel,
    Drop,
    Finish,
    Put,
    Reject,
    Release,
    Remove,
    Revive,
    Transition,
)
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


async def test_what_was_removed_does_not_run_when_it_comes_again() -> None:
    """A broker that delivers a removed job once more is not taken at its word."""
    broker, store = FakeBroker(), MemoryBackend(ManualClock())
    pair = Paired(broker.connect(), store)
    await pair.commit([Transition(publish=(PLAIN,))])
    (delivery,) = await pair.receive([Claim(DEFAULT_QUEUE, 1)], "me", 60.0)
    await pair.commit([Transition(fence=delivery.fence, settle=DONE)])
    (answer,) = await pair.commit([Transition(remove=(Remove(PLAIN.id),))])
    assert (answer.status, answer.versions) == ("applied", {})
    await broker.connect().publish([PLAIN])
    assert await pair.receive([Claim(DEFAULT_QUEUE, 1)], "me", 60.0) == []
    assert [each.state for each in (await pair.search(Filter())).jobs] == [State.CANCELLED]


async def test_what_is_revived_is_called_off_no_more() -> None:
    """A job that was cancelled and is wanted again is not cancelled by its own duplicate."""
    broker, store = FakeBroker(), MemoryBackend(ManualClock())
    pair = Paired(broker.connect(), store)
    await pair.commit([Transition(publish=(PLAIN,))])
    await pair.commit([Transition(cancel=(Cancel(PLAIN.id, keep=9.0),))])
    assert await pair.receive([Claim(DEFAULT_QUEUE, 1)], "me", 60.0) == []
    (answer,) = await pair.commit([Transition(revive=(Revive(PLAIN.id),))])
    assert answer.ok
    await broker.connect().publish([PLAIN])
    found = await pair.receive([Claim(DEFAULT_QUEUE, 9)], "me", 60.0)
    assert [each.fence.id for each in found] == [PLAIN.id]


async def test_what_is_still_owed_is_not_owed_twice() -> None:
    """A job whose followers were not all sent is not revived before they are."""
    store = MemoryBackend(ManualClock())
    pair = Paired(FakeBroker().connect(), store)
    await pair.commit([Transition(publish=(LATER,)), Transition(cancel=(Cancel(LATER.id),))])
    await store.commit([Transition(put=(Put(OWED + LATER.id, b"\x90"),))])
    revival = Transition(revive=(Revive(LATER.id),))
    assert [each.reason for each in await pair.commit([revival])] == ["conflict"]
    await pair.replay_owed(10)
    assert [each.ok for each in await pair.commit([revival])] == [True]
