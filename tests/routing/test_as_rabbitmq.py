"""Messages go where a real RabbitMQ would send them."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Iterator

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from ropeway.routing import Router
from tests.routing import generated
from tests.servers.rabbitmq import RabbitMQ

CASES = int(os.environ.get("ROUTING_CASES", "1500"))
SEED = int(os.environ.get("ROUTING_SEED", "1"))
_EACH = 250


@pytest.fixture
def channel(rabbitmq: RabbitMQ) -> Iterator[BlockingChannel]:
    """Return a channel of a plain client."""
    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq.url))
    yield connection.channel()
    connection.close()


@pytest.mark.timeout(600)
def test_it_goes_where_rabbitmq_sends_it(channel: BlockingChannel) -> None:
    """The same generated topologies and messages there and here: no disagreement."""
    chance = random.Random(SEED)
    routed = 0
    for number in range(0, CASES, _EACH):
        made = generated.topology(chance)
        messages = [generated.sent(chance, made) for _ in range(_EACH)]
        declare(channel, made)
        for place, message in enumerate(messages):
            publish(channel, message, str(place))
        there = arrivals(channel, made)
        remove(channel, made)
        router = Router(made.exchanges, made.bindings, made.queues)
        for place, message in enumerate(messages):
            here = router.route(message.exchange, message.key, message.headers, message.more_keys)
            what = f"seed {SEED}, topology {number // _EACH}: {message} in {made}"
            assert here == tuple(sorted(there[str(place)])), what
            routed += bool(here)
    print(f"seed {SEED}: {CASES} cases, {routed} of them routed, 0 disagreements")
    assert routed > CASES / 4


def declare(channel: BlockingChannel, made: generated.Topology) -> None:
    """Make everything there."""
    for exchange in made.exchanges:
        arguments = {"alternate-exchange": exchange.alternate} if exchange.alternate else None
        channel.exchange_declare(exchange.name, exchange.type, arguments=arguments)
    for queue in made.queues:
        channel.queue_declare(queue)
    for each in made.bindings:
        bind = channel.exchange_bind if each.to_exchange else channel.queue_bind
        bind(each.to, each.source, each.key, arguments=dict(each.arguments))


def publish(channel: BlockingChannel, message: generated.Sent, number: str) -> None:
    """Send a message that is known by its number."""
    headers: dict[str, object] = dict(message.headers)
    if message.more_keys:
        headers["CC"] = [message.more_keys[0]]
        headers["BCC"] = list(message.more_keys[1:])
    properties = pika.BasicProperties(message_id=number, headers=headers)
    channel.basic_publish(message.exchange, message.key, b"", properties)


def arrivals(channel: BlockingChannel, made: generated.Topology) -> dict[str, list[str]]:
    """Take what has arrived; say for each number in which queues."""
    found: dict[str, list[str]] = defaultdict(list)
    for queue in made.queues:
        while (got := channel.basic_get(queue, auto_ack=True))[0] is not None:
            found[got[1].message_id].append(queue)
    return found


def remove(channel: BlockingChannel, made: generated.Topology) -> None:
    """Leave nothing behind."""
    for queue in made.queues:
        channel.queue_delete(queue)
    for exchange in made.exchanges:
        channel.exchange_delete(exchange.name)
