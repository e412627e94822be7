"""A whole backend carries the messages of a pair as a plain broker would."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.backends.sqlite import Database, SqliteBackend
from ropeway.broker_half import BrokerHalf
from ropeway.clock import ManualClock
from ropeway.states import State
from ropeway.store import Backend, Filter
from ropeway.testing.conformance import HalfCases
from ropeway.testing.conformance.half import Connect
from ropeway.testing.conformance.steps import message
from ropeway.transition import Transition
from ropeway.wrappers.half import LEASE, Half

Make = Callable[[], Backend]


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock that the broker reads."""
    return ManualClock()


@pytest.fixture
def make(clock: ManualClock) -> Make:
    """Return what makes a handle on the backend below."""
    backend = MemoryBackend(clock)
    return lambda: backend


@pytest.fixture
async def connect(make: Make) -> AsyncIterator[Connect]:
    """Return what connects; all that is open is closed in the end."""
    opened: list[BrokerHalf] = []

    async def connected() -> BrokerHalf:
        half = Half(make())
        await half.open()
        opened.append(half)
        return half

    yield connected
    for each in opened:
        await each.close()


class TestMemory(HalfCases):
    """In this process."""


class TestSqlite(HalfCases):
    """In a file."""

    @pytest.fixture
    def make(self, clock: ManualClock, tmp_path: Path) -> Make:
        return lambda: SqliteBackend(Database(tmp_path / "broker.db", clock))


async def test_what_is_held_for_long_arrives_again_unmarked(
    connect: Connect, clock: ManualClock
) -> None:
    """Its holder may live, so nobody is told to take the job from it; its ack is then too late."""
    one, two, sent = await connect(), await connect(), message()
    await one.publish([sent])
    (first,) = await one.get(sent.queue, 9)
    clock.advance(LEASE + 1)
    (second,) = await two.get(sent.queue, 9)
    assert (second.message, second.redelivered) == (sent, False)
    await one.ack([first.tag])
    await two.nack([second.tag], requeue=True)
    (third,) = await one.get(sent.queue, 9)
    assert not third.redelivered, "of one of those who had it nothing is known"


async def test_what_others_publish_there_arrives_too(connect: Connect, make: Make) -> None:
    """An app that uses the same server alone, and one that uses it for a pair, understand."""
    half, plain = await connect(), message(body=b"{}")
    await make().commit([Transition(publish=(plain,))])
    (arrival,) = await half.get(plain.queue, 9)
    assert arrival.message == plain


async def test_what_the_store_refuses_is_there_to_be_looked_at(
    connect: Connect, make: Make
) -> None:
    """It is in quarantine where it rested, whole."""
    half, sent = await connect(), message(body=b"\x00whole")
    await half.publish([sent])
    (arrival,) = await half.get(sent.queue, 9)
    await half.nack([arrival.tag], requeue=False)
    (found,) = (await make().search(Filter(state=State.QUARANTINED))).jobs
    assert sent.body in found.message.body


async def test_what_was_acknowledged_leaves_nothing_behind(connect: Connect, make: Make) -> None:
    """The records are the store's; here a message is gone when it was carried."""
    half, sent = await connect(), [message() for _ in range(3)]
    await half.publish(sent)
    await half.ack([each.tag for each in await half.get(sent[0].queue, 9)])
    assert (await make().search(Filter())).jobs == []
