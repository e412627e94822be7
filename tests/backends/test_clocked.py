"""The server's clock is carried on between two looks at it, and nothing else changes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.clock import ManualClock
from ropeway.connect import Connection
from ropeway.store import Backend
from ropeway.testing.conformance import BackendSuite, ManualHarness, MissedHintCases
from ropeway.wrappers.clocked import Clocked
from ropeway.wrappers.delegate import Delegate


class Asked(MemoryBackend):
    """Counts how often it is asked for the time."""

    times = 0

    async def now(self) -> float:
        self.times += 1
        return await super().now()


class TestClocked(BackendSuite, MissedHintCases):
    """The contract of what is wrapped is kept."""

    @pytest.fixture
    async def harness(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ManualHarness]:
        clock = ManualClock()
        memory = MemoryBackend(clock)

        def handle() -> Backend:
            return Clocked(memory, clock.boot)

        def mute() -> None:
            monkeypatch.setattr(memory, "_hint", lambda name: None)

        async with ManualHarness(handle(), clock, another=handle, mute=mute) as harness:
            yield harness


@pytest.mark.parametrize("url", ["redis://localhost", "postgresql://localhost/jobs"])
async def test_a_worker_of_each_server_saves_round_trips(url: str) -> None:
    """Nothing connects before it is used."""
    wrapped: list[Backend] = [Connection(url).looped()]
    while isinstance(wrapped[-1], Delegate):
        wrapped.append(wrapped[-1].inner)
    assert any(isinstance(each, Clocked) for each in wrapped)


async def test_the_server_is_asked_once_in_a_second() -> None:
    """In between its time goes on, and a step of it is seen in the end."""
    server, here = ManualClock(), ManualClock(0.0)
    inner = Asked(server)
    clocked = Clocked(inner, here.boot)
    first = await clocked.now()
    for clock in (server, here):
        clock.advance(0.6)
    assert await clocked.now() == pytest.approx(first + 0.6)
    assert inner.times == 1
    server.step_date(-3600.0)
    assert await clocked.now() == pytest.approx(first + 0.6)
    for clock in (server, here):
        clock.advance(0.6)
    assert await clocked.now() == server.now()
    assert inner.times == 2
