"""Lost requests, lost replies, duplicates and refusals: a client that tries again gets through."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.claims import Claim
from ropeway.clock import ManualClock
from ropeway.errors import BackendUnavailable, Backpressure, Indeterminate
from ropeway.message import DEFAULT_QUEUE, Delivery, Message
from ropeway.states import State
from ropeway.store import Backend, Filter
from ropeway.testing.conformance import BackendSuite, ManualHarness, MissedHintCases
from ropeway.testing.conformance.steps import message, settled
from ropeway.testing.halves import FakeBroker
from ropeway.transition import Finish, Release, Transition
from ropeway.wrappers.faulty import Faults, Faulty
from ropeway.wrappers.paired import Paired

T = TypeVar("T")
Make = Callable[[Backend, int], tuple[Backend, Faulty]]

OFTEN = Faults(unavailable=0.1, full=0.1, request=0.1, reply=0.15, twice=0.1)
LEASE = 60.0
SEEDS = 40


class TestFaulty(BackendSuite, MissedHintCases):
    """Without faults the contract is that of what is wrapped."""

    @pytest.fixture
    async def harness(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ManualHarness]:
        clock = ManualClock()
        memory = MemoryBackend(clock)

        def handle() -> Backend:
            return Faulty(memory, Faults())

        def mute() -> None:
            monkeypatch.setattr(memory, "_hint", lambda name: None)

        async with ManualHarness(handle(), clock, another=handle, mute=mute) as harness:
            yield harness


def alone(store: Backend, seed: int) -> tuple[Backend, Faulty]:
    """A client and a backend far away."""
    faulty = Faulty(store, OFTEN, seed)
    return faulty, faulty


def in_a_pair(store: Backend, seed: int) -> tuple[Backend, Faulty]:
    """A pair whose store is far away."""
    faulty = Faulty(store, OFTEN, seed)
    return Paired(FakeBroker().connect(), faulty), faulty


async def insist(verb: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call unchanged until it is answered, as every client of a backend does."""
    while True:
        try:
            return await verb()
        except (Indeterminate, BackendUnavailable, Backpressure):
            await asyncio.sleep(0)


async def send(backend: Backend, messages: list[Message]) -> None:
    """Send each message until it is known to be kept."""
    for each in messages:
        sending = [Transition(publish=(each,))]
        (answer,) = await insist(lambda sending=sending: backend.commit(sending))  # type: ignore[misc]
        assert answer.ok


async def drain(backend: Backend, clock: ManualClock, jobs: int) -> dict[str, list[str]]:
    """Run `jobs` jobs, each released once, half of them followed; return the answers to each."""
    told: dict[str, list[str]] = {}
    while sum(len(answers) for answers in told.values()) < 2 * jobs:
        found = await insist(lambda: backend.receive([Claim(DEFAULT_QUEUE, 3)], "me", LEASE))
        if not found:
            clock.advance(LEASE)  # what was handed over and never arrived
        for each in found:
            end = [_end(each)]
            (answer,) = await insist(lambda end=end: backend.commit(end))  # type: ignore[misc]
            told.setdefault(each.fence.id, []).append(answer.reason or answer.status)
    return told


def _end(delivery: Delivery) -> Transition:
    if not delivery.failures:
        return settled(delivery, Release("failures"))
    job_id = delivery.fence.id
    publish = () if job_id.endswith("+") else (message(id=job_id + "+"),)
    return settled(delivery, Finish(State.SUCCEEDED), publish=publish)


@pytest.mark.parametrize("make", [alone, in_a_pair])
async def test_a_client_that_insists_gets_through(make: Make) -> None:
    """Every message and its follower is failed once and settled once; no answer is a refusal."""
    happened: Counter[str] = Counter()
    for seed in range(SEEDS):
        clock = ManualClock()
        store = MemoryBackend(clock)
        backend, faulty = make(store, seed)
        messages = [message() for _ in range(10)]
        await send(backend, messages)
        expected = {each.id + end for each in messages for end in ("", "+")}
        told = await drain(backend, clock, len(expected))
        assert {word for words in told.values() for word in words} <= {"applied", "repeated"}
        jobs = (await store.search(Filter(), limit=100)).jobs
        assert {job.message.id: (job.state, job.failures) for job in jobs} == dict.fromkeys(
            expected, (State.SUCCEEDED, 1)
        )
        happened += faulty.happened
    assert {*happened} == {"unavailable", "full", "request", "reply", "twice"}


async def test_a_lost_reply_and_a_lost_request_look_alike() -> None:
    """The caller hears the same; what was done differs."""
    for faults, count in ((Faults(request=1.0), 0), (Faults(reply=1.0), 1)):
        memory = MemoryBackend(ManualClock())
        with pytest.raises(Indeterminate):
            await Faulty(memory, faults).commit([Transition(publish=(message(),))])
        assert len((await memory.search(Filter())).jobs) == count


async def test_one_seed_is_one_plan() -> None:
    """The same calls meet the same faults again."""
    plans = []
    for _ in range(2):
        faulty = Faulty(MemoryBackend(ManualClock()), OFTEN, seed=7)
        for _ in range(50):
            await insist(lambda: faulty.get([]))  # noqa: B023  it is awaited in its turn
        plans.append(faulty.happened)
    assert plans[0] == plans[1]
    assert plans[0].total() > 10


async def test_a_late_call_is_done() -> None:
    """It takes longer, and nothing else is different."""
    faulty = Faulty(MemoryBackend(ManualClock()), Faults(late=1.0, latest=0.001))
    (answer,) = await faulty.commit([Transition(publish=(message(),))])
    assert answer.ok
    assert faulty.happened["late"] == 1
