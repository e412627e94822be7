"""The memory backend keeps every promise of the contracts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.clock import ManualClock
from ropeway.testing.conformance import (
    BackendSuite,
    LocalClockCases,
    ManualHarness,
    MissedHintCases,
)


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
