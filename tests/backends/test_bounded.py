"""Keeping the options of queues changes nothing for what has none."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.bounds import Queue
from ropeway.clock import ManualClock
from ropeway.store import Store
from ropeway.testing.conformance import BackendSuite, ManualHarness
from ropeway.wrappers.bounded import Bounded
from ropeway.wrappers.known import Known

EVERYTHING = Queue(
    name="has options", max_length=1, overflow="drop_oldest", message_ttl=1, exclusive=True
)


class KnowsOneMore(Known):
    """Knows of a queue with options, besides what is declared."""

    async def queues(self, store: Store) -> dict[str, Queue]:
        declared = await super().queues(store)
        return {EVERYTHING.name: EVERYTHING, **declared}


class TestBounded(BackendSuite):
    """The contract of what is wrapped is kept, while another queue has options."""

    @pytest.fixture
    async def harness(self) -> AsyncIterator[ManualHarness]:
        clock = ManualClock()
        memory = MemoryBackend(clock)

        def handle() -> Bounded:
            return Bounded(memory, KnowsOneMore())

        async with ManualHarness(handle(), clock, handle) as harness:
            yield harness
