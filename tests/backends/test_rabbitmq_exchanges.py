"""Exchanges of a pair with RabbitMQ are the server's own; what is routed by them is still one job."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pika
import pytest

from ropeway.connect import Connection
from ropeway.errors import TopologyConflict, Unroutable
from ropeway.ids import derived_id
from ropeway.message import Message
from ropeway.routing import Binding, Exchange
from ropeway.store import Backend
from ropeway.testing.conformance.steps import Claimer, message, sent
from ropeway.topology import declare, delete
from ropeway.transition import Transition
from tests.backends.rabbitmq_rig import plain
from tests.servers.rabbitmq import RabbitMQ

LOGS = Exchange(name="logs", type="topic")
BOUND = [Binding(source="logs", to="a", key="x.*"), Binding(source="logs", to="b", key="#")]


@pytest.fixture
def url(rabbitmq: RabbitMQ) -> str:
    """Return the URL of an empty virtual host."""
    return rabbitmq.fresh()


@pytest.fixture
async def pairs(url: str, tmp_path: Path) -> AsyncIterator[tuple[Backend, Backend]]:
    """Return two handles on one pair."""
    connection = Connection(f"sqlite:///{tmp_path}/jobs.db", broker=url)
    one, two = connection.looped(), connection.looped()
    await one.open()
    await two.open()
    yield one, two
    await one.close()
    await two.close()


def to_logs(key: str, **fields: bool) -> Message:
    """Return a message that is still to be routed."""
    return message(exchange="logs", routing_key=key, mandatory=fields.get("mandatory", True))


async def test_a_message_is_a_job_in_each_queue(pairs: tuple[Backend, Backend], url: str) -> None:
    """The first by name keeps the id; a queue of a stranger gets it too; who is late is found."""
    one, two = pairs
    await declare(one, [LOGS], BOUND)
    with plain(url) as channel:
        mine = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(mine, "logs", "#")
        published = to_logs("x.y")
        await one.commit([Transition(publish=(published,))])
        await one.commit([Transition(publish=(published,))])  # a reply was lost
        got, known, body = channel.basic_get(mine, auto_ack=True)
        assert got is not None
        assert (known.message_id, body) == (published.id, published.body)
        properties = pika.BasicProperties(type="t", message_id="m", content_type="text/plain")
        channel.basic_publish("logs", "z", b"?", properties)
    assert {each.queue for each in await two.stats()} == {"a", "b"}
    claimer = Claimer(two, "w", 10.0)
    found = [each.message for queue in "ab" for each in await claimer.take(9, queue)]
    ids = {published.id, derived_id(published.id, "b"), derived_id("m", "b")}
    assert {each.id for each in found} == ids
    assert [each.queue for each in found] == ["a", "b", "b"]
    assert {each.routing_key for each in found} == {"x.y", "z"}


async def test_what_nobody_wants_and_what_is_unbound(
    pairs: tuple[Backend, Backend], url: str
) -> None:
    """It is refused, or dropped; a binding that is removed is removed on the server."""
    one, two = pairs
    await declare(one, [LOGS], BOUND[:1])
    with pytest.raises(Unroutable, match="logs"):
        await two.commit([Transition(publish=(to_logs("y"),))])
    await two.commit([Transition(publish=(to_logs("y", mandatory=False),))])
    await two.commit([Transition(publish=(to_logs("x.1"),))])
    await delete(two, bindings=BOUND[:1])
    with pytest.raises(Unroutable):
        await one.commit([Transition(publish=(to_logs("x.2"),))])
    await delete(one, ["logs"])
    with plain(url) as channel, pytest.raises(pika.exceptions.ChannelClosedByBroker):
        channel.exchange_declare("logs", passive=True)


async def test_an_exchange_that_is_otherwise(pairs: tuple[Backend, Backend], url: str) -> None:
    """Who declares it hears that it is there with other properties."""
    one, _ = pairs
    with plain(url) as channel:
        channel.exchange_declare("logs", "fanout")
    with pytest.raises(TopologyConflict, match="fanout"):
        await declare(one, [LOGS])


async def test_queues_that_another_process_has_used(pairs: tuple[Backend, Backend]) -> None:
    """AMQP cannot list queues: the store has their names."""
    one, two = pairs
    await sent(one, queue="elsewhere")
    (found,) = [each for each in await two.stats(cap=10) if each.queue == "elsewhere"]
    assert found.ready == 1
