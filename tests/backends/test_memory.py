"""The memory backend keeps every promise of the contracts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.clock import ManualClock
from ropeway.message import job_key
from ropeway.stepping import step
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
