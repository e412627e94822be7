"""The Redis backend keeps every promise of the contracts, on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from ropeway.testing.conformance import (
    BackendSuite,
    DurableCases,
    ManualHarness,
    MissedHintCases,
    SteppedSuite,
)
from tests.backends.redis_world import World
from tests.servers.valkey import Valkey


@pytest.fixture
def world(valkey: Valkey) -> Iterator[World]:
    world = World(valkey.url)
    yield world
    world.close()


class TestRedis(BackendSuite, DurableCases, MissedHintCases):
    """As a worker uses it: on an event loop."""

    @pytest.fixture
    async def harness(self, world: World) -> AsyncIterator[ManualHarness]:
        async with ManualHarness(world.looped(), world, world.looped, world.mute) as harness:
            yield harness


class TestBlocking(SteppedSuite, DurableCases):
    """As the sync verbs use it: without a loop."""

    @pytest.fixture
    async def harness(self, world: World) -> AsyncIterator[ManualHarness]:
        async with ManualHarness(world.blocking(), world, world.blocking) as harness:
            yield harness
