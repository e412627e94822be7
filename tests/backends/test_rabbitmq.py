"""RabbitMQ keeps what is promised of a broker that is half of a pair, on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ropeway.backends.rabbitmq import RabbitHalf, parse
from ropeway.broker_half import BrokerHalf
from ropeway.testing.conformance import HalfCases
from ropeway.testing.conformance.half import Connect
from tests.servers.rabbitmq import RabbitMQ


@pytest.fixture
async def connect(rabbitmq: RabbitMQ) -> AsyncIterator[Connect]:
    """Return what connects; all that is open is closed in the end."""
    opened: list[BrokerHalf] = []

    async def connected() -> BrokerHalf:
        half = RabbitHalf(parse(rabbitmq.url))
        await half.open()
        opened.append(half)
        return half

    yield connected
    for each in opened:
        await each.close()


class TestRabbitMQ(HalfCases):
    """Quorum queues of one node."""
