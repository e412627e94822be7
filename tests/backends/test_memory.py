"""The memory backend keeps every promise of the contracts."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.backends.memory.hints import POLL
from ropeway.claims import Claim
from ropeway.clock import ManualClock
from ropeway.decide import Keep
from ropeway.message import job_key
from ropeway.stepping import step
from ropeway.store import Filter, queue_name
from ropeway.testing.conformance import (
    BackendSuite,
    LocalClockCases,
    ManualHarness,
    MissedHintCases,
)
from ropeway.testing.conformance.steps import message
from ropeway.transition import Transition


class TestMemory(BackendSuite, MissedHintCases, LocalClockCases):
    """In one process, on a clock that a test moves."""

    @pytest.fixture
    async def harness(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ManualHarness]:
        clock = ManualClock()
        backend = MemoryBackend(clock)

        def mute() -> None:
            monkeypatch.setattr(backend, "_hint", lambda name: None)

        async with ManualHarness(backend, clock, mute=mute) as harness:
            yield harness


def test_without_a_loop_a_wait_blocks() -> None:
    """The sync verbs step the same coroutines: these must not ask for a loop then."""
    backend, new = MemoryBackend(ManualClock()), message()
    step(backend.commit([Transition(publish=(new,))]))
    names = [job_key(new.id)]
    assert step(backend.wait(names, 30.0)) == names
    assert step(backend.wait(names, 0.01)) == []


@pytest.fixture
def impatient_threads() -> Iterator[None]:
    """Have threads take turns at every few instructions."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("impatient_threads")
def test_threads_send_while_others_claim_and_look() -> None:
    """Every message is handed out once, and no thread disturbs another."""
    backend, found, errors = MemoryBackend(), list[str](), list[BaseException]()

    def send() -> None:
        for _ in range(300):
            step(backend.commit([Transition(publish=(message(),))]))

    def claim() -> None:
        while len(found) < 900:
            got = step(backend.receive([Claim("default", 10)], "me", 60.0))
            found.extend(each.message.id for each in got)

    def look() -> None:
        while len(found) < 900:
            step(backend.search(Filter()))
            step(backend.prune(Keep(), 10))
            step(backend.stats(cap=10))

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
            found.extend([""] * 900)

    threads = [
        threading.Thread(target=guarded, args=(each,)) for each in (send, send, send, claim, look)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors
    assert len(found) == len(set(found)) == 900


async def test_a_waiting_loop_hears_at_once_what_another_thread_does() -> None:
    """Not at the next look by itself, a quarter of a second later."""
    backend, new = MemoryBackend(), message()
    names = [queue_name("default")]
    await backend.wait(names, 1.0)
    waiting = asyncio.create_task(backend.receive([Claim("default", 1)], "me", 60.0, 30.0))
    await asyncio.sleep(0)
    since = time.monotonic()
    await asyncio.to_thread(lambda: step(backend.commit([Transition(publish=(new,))])))
    (delivery,) = await waiting
    assert delivery.message.id == new.id
    assert time.monotonic() - since < POLL / 2


def test_a_blocked_thread_hears_at_once_what_another_does() -> None:
    """A task that waits for the result of another in its thread does not wait for a poll."""
    backend, new = MemoryBackend(), message()
    names = [queue_name("default")]
    step(backend.wait(names, 1.0))
    timer = threading.Timer(0.01, lambda: step(backend.commit([Transition(publish=(new,))])))
    timer.start()
    since = time.monotonic()
    assert step(backend.wait(names, 0.2)) == names
    assert time.monotonic() - since < 0.2
    timer.join()
