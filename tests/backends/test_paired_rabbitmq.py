"""A pair with RabbitMQ keeps the promises of the contracts, and those of a pair."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.backends.rabbitmq import RabbitHalf, parse
from ropeway.claims import Claim
from ropeway.clock import ManualClock
from ropeway.states import State
from ropeway.store import Backend
from ropeway.testing.conformance import ManualHarness
from ropeway.testing.conformance.steps import claimer, ids, job, second_claimer, sent
from ropeway.transition import Finish, Transition
from ropeway.wrappers.native import NativePair
from tests.backends.test_paired import PairSuite
from tests.servers.rabbitmq import RabbitMQ

DONE = Finish(State.SUCCEEDED)


@pytest.fixture
async def harness(
    rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ManualHarness]:
    """Make pairs that share a virtual host and a store."""
    clock, address = ManualClock(), parse(rabbitmq.fresh())
    store = MemoryBackend(clock)

    def handle() -> Backend:
        return NativePair(RabbitHalf(address), store)

    def mute() -> None:
        monkeypatch.setattr(MemoryBackend, "_hint", lambda self, name: None)

    async with ManualHarness(handle(), clock, another=handle, mute=mute) as harness:
        yield harness


class TestOverMemory(PairSuite):
    """Over a store in memory. All cases with RABBITMQ_SUITE=1: they need some minutes."""


NOT_HERE = {
    # Each kind has a line of its own, and each connection is sent messages ahead of need.
    "test_a_claim_takes_the_kinds_it_asks_for": "there is no order between kinds",
    "test_messages_are_told_to_those_who_wait_for_a_queue": "who waits is sent what it waits for",
}
DECISIVE = {
    "test_a_dead_letter_goes_with_the_settle",
    "test_any_text_names_a_queue",
    "test_the_names_of_queues",
    "test_two_claimers_never_share_a_message",
    "test_expired_leases_are_taken_by_kind",
    "test_counting_jobs",
}

for name in [each for each in dir(TestOverMemory) if each.startswith("test_")]:
    if name in NOT_HERE or not (os.environ.get("RABBITMQ_SUITE") or name in DECISIVE):
        setattr(TestOverMemory, name, None)


async def test_a_connection_is_dropped_while_its_job_runs(harness: ManualHarness) -> None:
    """Another takes over at once, by the redelivery; only that one settles."""
    first, second = claimer(harness), await second_claimer(harness)
    (one,) = await sent(first.backend)
    running = await first.take_one()
    pair = first.backend
    assert isinstance(pair, NativePair) and isinstance(pair.broker, RabbitHalf)
    (await pair.broker._taking.wire()).end("cut")
    async with asyncio.timeout(20):
        taken = await second.wait_one()
    assert (taken.message.id, taken.fence.attempt) == (one.id, 2)
    late, told = await first.settle(running, DONE), await second.settle(taken, DONE)
    assert (late.reason, told.status) == ("lost", "applied")
    assert (await job(first.backend, one.id)).state is State.SUCCEEDED
    assert not await first.take()
    assert not await second.take()


async def test_a_publishers_duplicate_disturbs_nobody(harness: ManualHarness) -> None:
    """The copy finds the job running, and is put away; it runs once."""
    first, second = claimer(harness), await second_claimer(harness)
    (one,) = await sent(first.backend)
    running = await first.take_one()
    await first.backend.commit([Transition(publish=(one,))])
    assert not await second.take()
    assert (await first.settle(running, DONE)).ok
    assert not await second.take()
    assert (await job(first.backend, one.id)).attempt == 1


async def test_what_is_sent_first_comes_first_also_when_more_is_asked_for(
    harness: ManualHarness,
) -> None:
    """A worker whose room grows asks for more and more: by that nothing goes behind what waits.

    Broken: to be sent more ahead, a consumer is replaced while something is on its way to it.
    """
    messages = await sent(harness.backend, 200)
    worker, taken, n = claimer(harness), list[str](), 1
    while len(taken) < len(messages):
        found = await worker.claim(Claim("default", n), wait=5.0)
        assert found, taken
        taken += ids(found)
        for each in found:
            assert (await worker.settle(each, DONE)).ok
        n += 1
    assert taken == ids(messages)
