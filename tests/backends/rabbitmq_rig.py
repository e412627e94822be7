"""What the tests of RabbitMQ have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pika
from pika.adapters.blocking_connection import BlockingChannel

from ropeway.broker_half import Arrival, BrokerHalf
from ropeway.ids import new_id
from ropeway.message import Message
from ropeway.testing.conformance.steps import message


def some(count: int, queue: str = "") -> list[Message]:
    """Return messages of one queue."""
    queue = queue or new_id()
    return [message(queue=queue) for _ in range(count)]


async def all_of(half: BrokerHalf, queue: str, count: int) -> list[Arrival]:
    """Get until so many have arrived; whoever asks has a time limit."""
    found: list[Arrival] = []
    while len(found) < count:
        found += await half.get(queue, count - len(found))
        if len(found) < count:
            await half.wait([queue], 0.5)
    return found


@contextmanager
def plain(url: str) -> Iterator[BlockingChannel]:
    """Yield a channel of a plain client."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection.channel()
    finally:
        if connection.is_open:
            connection.close()
