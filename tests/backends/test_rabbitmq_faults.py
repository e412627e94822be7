"""Whatever happens to RabbitMQ and the way there: what was confirmed arrives, and nobody hangs."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pika
import pytest
from msgspec.structs import replace

from ropeway import Ropeway
from ropeway.backends.rabbitmq import RabbitHalf, parse, publisher
from ropeway.backends.rabbitmq import half as rabbit_half
from ropeway.backends.rabbitmq.frames import Confirmed, Event
from ropeway.errors import BackendUnavailable, Backpressure, Indeterminate
from ropeway.testing.conformance.steps import ids
from tests.backends.rabbitmq_rig import all_of, plain, some
from tests.conftest import AsyncEventually
from tests.servers.process import HOST
from tests.servers.proxy import Proxy
from tests.servers.rabbitmq import RabbitMQ

Make = Callable[[str], RabbitHalf]
PEM = Path(__file__).parents[1] / "servers" / "tls"


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Return what makes halves for a URL; all are closed in the end."""
    made: list[RabbitHalf] = []

    def one(url: str) -> RabbitHalf:
        made.append(RabbitHalf(parse(url)))
        return made[-1]

    yield one
    for each in made:
        await each.close()


@pytest.fixture
async def proxy(rabbitmq: RabbitMQ) -> AsyncIterator[Proxy]:
    """Return a way to the server that can be cut."""
    async with Proxy(rabbitmq.port) as proxy:
        yield proxy


async def test_a_cut_is_survived(make: Make, rabbitmq: RabbitMQ, proxy: Proxy) -> None:
    """What was held comes back, marked; tags of before are passed over; sends go on."""
    half, sent = make(proxy.url(rabbitmq.url)), some(3)
    queue = sent[0].queue
    await half.publish(sent)
    before = await all_of(half, queue, 3)
    await half.ack([before[0].tag])
    await half.depths([queue])  # so that the server has heard of it
    proxy.cut()
    after = await all_of(half, queue, 2)
    assert ids([each.message for each in after]) == ids(sent[1:])
    assert all(each.redelivered for each in after)
    await half.ack([each.tag for each in before])
    await half.publish(some(1, queue))
    await half.nack([each.tag for each in after], requeue=True)
    assert len(await all_of(half, queue, 3)) == 3


async def test_a_confirm_that_is_lost_is_told(make: Make, rabbitmq: RabbitMQ, proxy: Proxy) -> None:
    """Nobody knows then; repeated unchanged, it arrives at least once."""
    half, (sent,) = make(proxy.url(rabbitmq.url)), some(1)
    await half.publish(some(1, sent.queue))
    proxy.cut_answers()
    with pytest.raises(Indeterminate):
        await half.publish([sent])
    proxy.pass_on()
    await half.publish([sent])
    arrived = await all_of(half, sent.queue, 3)
    assert ids([each.message for each in arrived])[1:] == [sent.id, sent.id]


async def test_a_silent_server_is_given_up(make: Make, rabbitmq: RabbitMQ, proxy: Proxy) -> None:
    """Half-open connections end by the heartbeat, also for who waits; then all goes on."""
    half, sent = make(proxy.url(rabbitmq.url) + "?heartbeat=1&timeout=2"), some(1)
    queue = sent[0].queue
    await half.publish(sent)
    held = await all_of(half, queue, 1)
    await half.wait([queue], 0)
    waiter = asyncio.create_task(half.wait([queue], 30))
    proxy.swallow()
    with pytest.raises((Indeterminate, BackendUnavailable)):
        await half.publish(some(1, queue))
    assert await asyncio.wait_for(waiter, 10) == [queue]
    proxy.cut()
    proxy.pass_on()
    again = await all_of(make(rabbitmq.url), queue, 1)
    assert again[0].message.id == held[0].message.id
    await half.publish(some(1, queue))


async def test_the_server_is_killed(
    make: Make, rabbitmq: RabbitMQ, aeventually: AsyncEventually
) -> None:
    """Killed like by a power cut while messages are sent: every confirmed one is there."""
    half, queue = make(rabbitmq.url), some(1)[0].queue
    confirmed: list[str] = []

    async def send() -> None:
        while True:
            batch = some(20, queue)
            await half.publish(batch)
            confirmed.extend(ids(batch))

    sender = asyncio.create_task(send())
    await aeventually(lambda: len(confirmed) > 200)
    # RabbitMQ 3.10 writes some seconds later who leads a new queue; a node that is killed before
    # that has the messages, and no leader for them.
    await asyncio.to_thread(rabbitmq.ctl, "eval", "[dets:sync(T) || T <- dets:all()].")
    rabbitmq.server.kill()
    with pytest.raises((Indeterminate, BackendUnavailable)):
        await sender
    with pytest.raises(BackendUnavailable):
        await half.get(queue, 1)
    rabbitmq.stop()
    await asyncio.to_thread(rabbitmq.start)
    arrived = set[str]()
    async with asyncio.timeout(30):
        while not arrived >= set(confirmed):
            found = await half.get(queue, 500)
            arrived.update(ids([each.message for each in found]))
            await half.ack([each.tag for each in found])
            await half.wait([queue], 0.2)


async def test_the_server_closes_connections_and_has_alarms(make: Make, rabbitmq: RabbitMQ) -> None:
    """An operator ends all connections: they are made anew. No memory: the sender is told."""
    half, sent = make(f"{rabbitmq.url}?timeout=1"), some(1)
    await half.publish(sent)
    queue = sent[0].queue
    held = await all_of(half, queue, 1)
    code = (
        '[rabbit_networking:close_connection(P, <<"test">>) || P <- rabbit_networking:connections()],'
        "rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []})."
    )
    await asyncio.to_thread(rabbitmq.ctl, "eval", code)
    try:
        (again,) = await all_of(half, queue, 1)
        assert (again.message, again.redelivered) == (held[0].message, True)
        with pytest.raises((Indeterminate, Backpressure), match="memory"):
            while True:  # a connection hears of it with what it publishes next
                await half.publish(some(1, queue))
        with pytest.raises(Backpressure, match=r"takes no messages: .*memory"):
            await half.publish(some(1, queue))
    finally:
        code = "rabbit_alarm:clear_alarm({resource_limit, memory, node()})."
        await asyncio.to_thread(rabbitmq.ctl, "eval", code)
    await half.publish(some(1, queue))


async def test_queues_of_others(
    make: Make, rabbitmq: RabbitMQ, aeventually: AsyncEventually
) -> None:
    """One of another type is used as it is; a full one refuses; a deleted one is made again."""
    half, full, classic, gone = make(rabbitmq.url), *(some(1)[0].queue for _ in range(3))
    with plain(rabbitmq.url) as channel:
        channel.queue_declare(classic, durable=True)
        arguments = {"x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "reject-publish"}
        channel.queue_declare(full, durable=True, arguments=arguments)
        await half.publish(some(2, classic))
        assert len(await all_of(half, classic, 2)) == 2
        with pytest.raises(Backpressure, match="full"):
            while True:  # RabbitMQ counts a moment later
                await half.publish(some(9, full))
        await half.publish(some(1, gone))
        await half.wait([gone], 0)
        assert len(await all_of(half, gone, 1)) == 1
        ones = [each for line, each in half._consumers.items() if line.startswith(gone)]
        channel.queue_delete(gone)
        await aeventually(lambda: not ones[0].running)
        again = some(1, gone)
        await half.publish(again)
        assert [each.message for each in await all_of(half, gone, 1)] == again


async def test_plain_clients_at_the_other_end(make: Make, rabbitmq: RabbitMQ) -> None:
    """They send what is a task, or what is none and is kept; and they read what is sent here."""
    half, queue = make(rabbitmq.url), some(1)[0].queue
    await half.publish(some(1, queue))
    with plain(rabbitmq.url) as channel:
        got, known, _ = channel.basic_get(queue, auto_ack=True)
        assert got is not None
        assert (known.content_type, known.delivery_mode) == ("application/json", 2)
        json = "application/json"
        named = pika.BasicProperties(type="add", content_type=json, message_id="a")
        by_header = pika.BasicProperties(headers={"task": "add", "n": 1}, content_type=json)
        for properties in (named, by_header, pika.BasicProperties()):
            channel.basic_publish("", queue, b'{"x":1}', properties)
    arrived = [each.message for each in await all_of(half, queue, 3)]
    assert [(each.task, each.content_type) for each in arrived] == [
        ("add", json),
        ("add", json),
        ("", "application/octet-stream"),
    ]
    assert arrived[0].id == "a"
    assert arrived[1].headers == {"n": "1"}
    assert {each.body for each in arrived} == {b'{"x":1}'}
    assert len({each.id for each in arrived}) == 3


async def test_what_is_refused_is_kept_for_people(make: Make, rabbitmq: RabbitMQ) -> None:
    """In the queue of dead letters, whole, with where it was."""
    half, (sent,) = make(rabbitmq.fresh()), some(1)
    await half.publish([sent])
    (arrival,) = await all_of(half, sent.queue, 1)
    await half.nack([arrival.tag], requeue=False)
    (found,) = await all_of(half, "ropeway.dead", 1)
    assert (found.message.id, found.message.body) == (sent.id, sent.body)
    assert found.message.headers["ropeway-queue"] == sent.queue


async def test_what_came_ahead_goes_to_who_has_time(make: Make, rabbitmq: RabbitMQ) -> None:
    """A busy consumer gives back what it was sent ahead; nobody else has to wait for it."""
    busy, idle, sent = make(rabbitmq.url), make(rabbitmq.url), some(2)
    queue = sent[0].queue
    await busy.publish(sent)
    (first,) = await busy.get(queue, 1)
    assert (await busy.depths([queue]))[queue] == 1
    async with asyncio.timeout(10):
        (second,) = await all_of(idle, queue, 1)
    assert [first.message, second.message] == sent


async def test_what_is_held_for_long_is_acknowledged(
    make: Make, rabbitmq: RabbitMQ, aeventually: AsyncEventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the server ends the connection of who holds it: the store has it."""
    monkeypatch.setattr(rabbit_half, "HELD", 0.0)
    half, other, sent = make(rabbitmq.url), make(rabbitmq.url), some(2)
    queue = sent[0].queue
    await half.publish(sent)
    (held,) = await half.get(queue, 1)
    holding = half._consumers[queue]
    await aeventually(lambda: holding.held(1) is None)
    await half.close()
    await half.ack([held.tag])
    (left,) = await all_of(other, queue, 1)
    assert left.message == sent[1]
    assert (await other.depths([queue]))[queue] == 0


async def test_tls_and_who_is_not_let_in(make: Make, rabbitmq: RabbitMQ) -> None:
    """Certificates of both sides; wrong ones, passwords and hosts are told without a secret."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(PEM / "ca.pem"))
    context.load_cert_chain(PEM / "server.pem", PEM / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    async with Proxy(rabbitmq.port, context) as secure:
        way = f"{HOST}:{secure.port}/%2F?cert={PEM}/client.pem&key={PEM}/client.key&ca={PEM}"
        half = make(f"amqps://guest:guest@127.0.0.1:1,{way}/ca.pem")  # the first is not there
        await half.publish(some(1))
        with pytest.raises(BackendUnavailable, match="cannot be trusted") as caught:
            await make(f"amqps://guest:guest@{way}/other-ca.pem").open()
        assert "ca=" in caught.value.hint
    for wrong, told in (("guest:hunter2@", "let in"), ("guest:guest@", "virtual host")):
        where = rabbitmq.url.replace("guest:guest@", wrong).replace("%2F", "none")
        with pytest.raises(BackendUnavailable, match=told) as caught:
            await make(where).open()
        assert "hunter2" not in str(caught.value)


async def test_what_was_refused_for_a_moment_is_sent_again(
    make: Make, rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quorum queue refuses while it has no leader; one that always refuses is told to the sender."""
    half, sent = make(rabbitmq.fresh()), some(5)
    refusals, hear = iter([True, True]), publisher._Confirming._hear

    def refusing(way: publisher._Confirming, event: Event) -> None:
        if isinstance(event, Confirmed) and next(refusals, False):
            event = replace(event, refused=True)
        hear(way, event)

    monkeypatch.setattr(publisher._Confirming, "_hear", refusing)
    await half.publish(sent)
    arrived = await all_of(half, sent[0].queue, 5)
    assert {each.message.id for each in arrived} == set(ids(sent))
    refusals = itertools.repeat(True)
    with pytest.raises(Backpressure, match="refused"):
        await half.publish(some(1, sent[0].queue))


async def test_a_channel_that_confirms_nothing_is_passed_by(
    make: Make, rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a cluster a channel may have lost the leader of a queue: another one finds the new one.

    What the first one confirms late is passed over.
    """
    monkeypatch.setattr(publisher, "_SILENT", 0.2)
    address = parse(rabbitmq.fresh())
    half, sent = RabbitHalf(replace(address, hosts=2 * address.hosts)), some(5)
    late: list[tuple[publisher._Confirming, Event]] = []
    deaf, hear = [True], publisher._Confirming._hear

    def hearing(way: publisher._Confirming, event: Event) -> None:
        if deaf and isinstance(event, Confirmed) and (not late or late[0][0] is way):
            late.append((way, event))
        else:
            hear(way, event)

    monkeypatch.setattr(publisher._Confirming, "_hear", hearing)
    await half.publish(sent)
    arrived = await all_of(half, sent[0].queue, 10)
    assert sorted(each.message.id for each in arrived) == sorted(2 * ids(sent))
    deaf.clear()
    for way, event in late:
        hear(way, event)
    await half.publish(some(3, sent[0].queue))
    await half.close()


def test_a_loop_that_ends_leaves_no_connection(rabbitmq: RabbitMQ) -> None:
    """Also one on which nobody has closed anything."""
    address, message = parse(rabbitmq.fresh()), some(1)

    def files() -> int:
        asyncio.run(RabbitHalf(address).publish(message))
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    before = files()
    assert [files() for _ in range(5)] == [before] * 5


def test_loops_that_have_ended_are_forgotten(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    """What a backend holds leads back to its loop: an app that has many, one by one, keeps none."""
    app = Ropeway(broker=rabbitmq.fresh(), store=f"sqlite:///{tmp_path / 'jobs.db'}")

    @app.task
    def add(x: int) -> int:
        return x

    for _ in range(5):
        asyncio.run(add.asend(1))
    assert len(app._by_loop) == 1
