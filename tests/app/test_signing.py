"""With keys, only what somebody signed who has one is run; on every backend, in whatever way it came."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pika
import pytest
from msgspec.structs import replace

from ropeway import RetryPolicy, Ropeway, TaskFailed
from ropeway.backends.memory import MemoryBackend
from ropeway.errors import ConfigError, RunFailed
from ropeway.graph import Place
from ropeway.ids import derived_id
from ropeway.message import Message, Terms, job_key
from ropeway.outbox import forward, resting
from ropeway.results import Job
from ropeway.transition import Join, Transition
from ropeway.wrappers.half import Half
from tests.conftest import AsyncEventually
from tests.places import KINDS, url_of
from tests.servers.rabbitmq import RabbitMQ

KEY, OTHER = f"k1:{'0123456789abcdef' * 4}", f"k2:{'fedcba9876543210' * 4}"

SOON = RetryPolicy(retries=1, base=0.01)


class World:
    """An app with keys, the calls that were run, and somebody who can write where it keeps jobs."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.ran: list[Any] = []
        self.app = Ropeway(url, signing=KEY, **settings)
        self.stranger = Ropeway(url, **settings)

        @self.app.task(name="note")
        async def note(value: Any) -> Any:
            self.ran.append(value)
            return value

        @self.app.task(name="twice", retries=SOON)
        async def twice(value: Any) -> Any:
            self.ran.append(value)
            assert self.ran.count(value) > 1
            return value

        self.note, self.twice = note, twice

    async def forge(self, **fields: Any) -> Job[Any]:
        """Write a message past the app."""
        message = Message(
            **{"task": "note", "body": b'{"value": "forged"}', "kind": "loop", **fields}
        )
        (answer,) = await self.stranger.store.commit([Transition(publish=(message,))])
        assert answer.ok
        return self.app.job(message.id)

    async def close(self) -> None:
        """Close both."""
        await self.app.aclose()
        await self.stranger.aclose()


@pytest.fixture(params=KINDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Return an app on each backend."""
    found = World(url_of(request.param, tmp_path, request))
    yield found
    await found.close()


def by_hand(message_id: str, body: bytes) -> dict[str, str]:
    """Return the header with which a program signs that has no ropeway."""
    name, _, secret = KEY.partition(":")
    parts = [b"1", message_id.encode(), b"note", b"application/json", b"", b"", body]
    text = b"".join(b"%d:%b" % (len(part), part) for part in parts)
    mac = hmac.digest(secret.encode(), text, "sha256")
    signature = base64.b64encode(mac + f"{name}\0{message_id}".encode()).decode()
    return {"ropeway": json.dumps({"signature": signature})}


async def refused(job: Job[Any]) -> str:
    """Return why a job went into quarantine."""
    with pytest.raises(TaskFailed) as caught:
        await job.aresult(timeout=20)
    record = await job.arecord()
    assert (record.state, record.error and record.error.type) == ("quarantined", "bad_signature")
    assert record.message.body
    return str(caught.value)


async def test_what_nobody_signed_is_not_run(world: World) -> None:
    """Nor what was changed, or signed with another key, or again under another id; calls are."""
    app = world.app
    signed = await world.note.asend("one")
    kept = (await signed.arecord()).message
    forged = [
        await world.forge(id="unsigned"),
        await world.forge(id="empty", signature=b""),
        await world.forge(id="replayed", body=kept.body, signature=kept.signature),
        await world.forge(id="garbage", body=b"\xff", signature=b"\0" * 80),
    ]
    large = await world.note.asend("x" * 2_000_000)
    later = await world.note.using(delay=0.05, headers={"a": "ü"}, priority=9, key="k").asend("two")
    retried = await world.twice.asend("three")
    async with app.worker():
        assert await signed.aresult(timeout=20) == "one"
        assert await later.aresult(timeout=20) == "two"
        assert await retried.aresult(timeout=20) == "three"
        assert len(await large.aresult(timeout=20)) == 2_000_000
        told = [await refused(job) for job in forged]
    assert "not signed" in told[0] and "not signed" in told[1]
    assert "that of the message" in told[2]
    assert "forged" not in world.ran
    assert len(world.ran) == 5


async def test_what_a_person_changes_is_signed_anew(world: World) -> None:
    """While it waits, and after it was refused; a retry alone vouches for nothing."""
    app = world.app
    people = app.quarantine
    waits = await world.note.using(delay=1).asend("before")
    await people.aedit(waits.id, arguments={"value": "after"})
    forged = await world.forge(id="unsigned")
    async with app.worker():
        assert await waits.aresult(timeout=20) == "after"
        await refused(forged)
        await forged.aretry()
        await refused(forged)
        await people.aedit(forged.id, arguments={"value": "looked at"})
        assert await forged.aresult(timeout=20) == "looked at"
    assert world.ran == ["after", "looked at"]


async def test_what_follows_from_a_call_is_signed(
    tmp_path: Path, aeventually: AsyncEventually
) -> None:
    """Nodes of runs and items of maps, jobs of schedules, events that failed, dead letters."""
    world = World(f"sqlite:///{tmp_path}/jobs.db")
    app = world.app
    app.exchange("gone", "fanout").bind("graves")
    app.queue("risky", dead_letter_exchange="gone")
    photos = app.topic("photos", str)

    @app.task(name="numbers")
    async def numbers() -> list[int]:
        return [1, 2, 3]

    @app.task(name="double", retries=SOON)
    async def double(n: int) -> int:
        world.ran.append(n)
        assert n != 2 or world.ran.count(2) > 2
        return 2 * n

    @app.task(name="total")
    async def total(values: list[int]) -> int:
        return sum(values)

    @app.task(name="bad", retries=0)
    async def bad(value: str) -> None:
        world.ran.append(value)
        raise ValueError

    @photos.subscribe("feed", retries=SOON)
    async def feed(photo: str) -> None:
        world.ran.append(photo)
        assert world.ran.count(photo) > 1

    with app.workflow("sum") as flow:
        flow.add(total.call(flow.map(double, flow.add(numbers.call()))))
    async with app.worker():
        run = await flow.asend()
        await photos.apublish("photo")
        await bad.using(queue="risky").asend("dead")
        await world.forge(id="unsigned", task="bad", queue="risky")
        await app.schedules.aadd("soon", world.note.call("fired"), every=1)
        with pytest.raises(RunFailed):
            await run.aresult(timeout=20)
        await run.aretry()
        assert await run.aresult(timeout=20) == 12
        await aeventually(lambda: world.ran.count("photo") == 2 and "fired" in world.ran)
        await aeventually(lambda: world.ran.count("dead") == 2)
    assert "forged" not in world.ran
    await world.close()


async def test_what_is_put_aside_steers_nothing(tmp_path: Path) -> None:
    """The end of a message that nobody signed writes no record, and arrives at no join, of its choice."""
    world = World(f"sqlite:///{tmp_path}/jobs.db")
    store = world.app.store
    node = Place("any", "n", ("any/join=member",))
    forged = await world.forge(id="f", terms=Terms(unique="paused/default", node=node))
    join = Join("any/join", 1, (Message(id="then", task="note"),))
    await store.commit([Transition(join=(join,))])
    async with world.app.worker():
        await refused(forged)
        assert await (await world.note.asend("goes on")).aresult(timeout=20) == "goes on"
    assert await store.get(["paused/default", job_key("then")]) == [None, None]
    await world.close()


async def test_an_outbox_signs_nothing() -> None:
    """Who can write into it does not get a signature from those who forward."""
    kept, broker = MemoryBackend(), MemoryBackend()
    message = Message(id="m", task="t")
    await kept.commit([Transition(publish=(resting(message),))])
    assert await forward(Half(kept), broker, 10) == 1
    (job,) = await broker.peek("default")
    assert job.message == replace(message, signature=b"")


async def test_a_plain_client_of_rabbitmq(
    rabbitmq: RabbitMQ, tmp_path: Path, aeventually: AsyncEventually
) -> None:
    """What it sends unsigned is not run; what is signed is, also when the server copies it."""
    url = rabbitmq.fresh()
    world = World(f"sqlite:///{tmp_path}/jobs.db", broker=url)
    logs = world.app.exchange("logs", "fanout")
    logs.bind("one")
    logs.bind("two")
    photos = world.app.topic("photos", dict[str, str])
    photos.bind(logs)
    inbox = world.app.exchange("inbox", "fanout")
    inbox.bind(photos)

    @world.app.task(name="photos")
    async def seen(photo: str) -> None:
        world.ran.append(photo)

    @photos.subscribe("feed")
    async def feed(photo: dict[str, str]) -> None:
        world.ran.append(f"{photo['photo']} in the feed")

    async with world.app.worker():
        first = await world.note.using(exchange=logs).asend("both")
        jobs = [first, world.app.job(derived_id(first.id, "two")), await world.note.asend("plain")]
        assert [await job.aresult(timeout=20) for job in jobs] == ["both", "both", "plain"]
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            known = pika.BasicProperties(
                type="note", message_id="m", content_type="application/json"
            )
            forged = b'{"value": "forged"}'
            channel.basic_publish("", "default@loop", forged, known, mandatory=True)
            body = b'{"value":"by hand"}'
            known.message_id, known.headers = "n", by_hand("n", body)
            channel.basic_publish("", "default@loop", body, known, mandatory=True)
            known.message_id, known.headers = "e", None
            channel.basic_publish("inbox", "", b'{"photo": "forged"}', known)
        assert await world.app.job("n").aresult(timeout=20) == "by hand"
        await refused(world.app.job("m"))
        await refused(world.app.job(derived_id("e", "topic/photos")))
        await photos.apublish({"photo": "photo"})
        await aeventually(lambda: sorted(world.ran[-3:]) == ["photo", "photo", "photo in the feed"])
    assert "forged" not in str(world.ran)
    await world.close()


def test_keys_are_read_when_the_app_is_made() -> None:
    """And are in no text that people see."""
    with pytest.raises(ConfigError, match="fewer than 32"):
        Ropeway("memory://", signing="k:short")
