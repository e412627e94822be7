"""Topics in a sandbox: who gets which events, and what can be seen of them afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace

from ropeway import Event, Job, Retention, RetryPolicy, Ropeway, State, current
from ropeway.errors import (
    BadArguments,
    BadTask,
    HistoryGap,
    MessageTooLarge,
    NotEncodable,
    SubscriptionNotFound,
    TopicNotFound,
    TopologyConflict,
)
from ropeway.ids import new_id
from ropeway.message import Message
from ropeway.routing import Binding
from ropeway.stepping import step
from ropeway.store import Filter
from ropeway.testing.sandbox import Sandbox
from ropeway.topics.declaring import begin, declare_subscriptions, follow, guard_of
from ropeway.topics.delivery import bits, done_offsets
from ropeway.topics.records import Cursor, cursors_of, encode
from ropeway.topics.trimming import retain
from ropeway.transition import Put, Transition, Trim

START = datetime(2026, 3, 1, tzinfo=UTC)
SOON = RetryPolicy(retries=2, base=10.0, cap=10.0, jitter=False)


class Liked(Struct):
    """Somebody likes a photo."""

    user: int
    photo: int


class Sale(Struct):
    """Something is sold."""

    cents: int


class World:
    """An app with a topic, and what its subscribers got."""

    def __init__(self) -> None:
        self.app = app = Ropeway("memory://")
        self.liked = app.topic("photo.liked", Liked, key="photo")
        self.got: list[tuple[str, int]] = []
        self.failing: set[int] = set()

        @self.liked.subscribe("notify", retries=SOON)
        async def notify(event: Liked) -> None:
            if event.user in self.failing:
                raise ValueError("as the test wanted")
            self.got.append(("notify", event.user))

        @self.liked.subscribe("count", from_="start", retries=0)
        def count(event: Event[Liked]) -> None:
            self.got.append(("count", event.data.user))

    def publish(self, *users: int, photo: int = 5) -> None:
        """Publish likes of these users."""
        self.liked.publish_many(Liked(user=user, photo=photo) for user in users)

    def only(self, state: State) -> Job[Any]:
        """Return the one job of a state."""
        (job,) = step(self.app.connection.blocking().search(Filter(state=state))).jobs
        return self.app.job(job.message.id)

    def of(self, name: str) -> list[int]:
        """Whose likes a subscription got, in order."""
        return [user for who, user in self.got if who == name]


@pytest.fixture
def world() -> World:
    """Return an app with a topic."""
    return World()


@pytest.fixture
def sandbox(world: World) -> Iterator[Sandbox]:
    """Return a sandbox around it."""
    with world.app.testing(start=START) as sandbox:
        yield sandbox


def test_every_subscription_gets_every_event(world: World, sandbox: Sandbox) -> None:
    """Each of them gets all, once, in order, and the publisher knows none of them."""
    world.publish(1, 2, 3)
    event = world.liked.publish(Liked(user=4, photo=6), headers={"country": "cn"})
    assert (event.offset, event.key, event.headers) == (4, "6", {"country": "cn"})
    sandbox.run()
    assert sorted(world.of("notify")) == sorted(world.of("count")) == [1, 2, 3, 4]
    assert world.of("notify")[:3] == [1, 2, 3] or world.of("notify")[-3:] == [1, 2, 3]
    standings = world.liked.subscriptions()
    assert [(each.name, each.lag) for each in standings] == [("count", 0), ("notify", 0)]


def test_what_fails_is_tried_again_and_holds_up_its_key_alone(
    world: World, sandbox: Sandbox
) -> None:
    """Later events of the key wait behind it, in order; others go on. In the end it has failed."""
    world.failing = {1}
    world.publish(1, 2, photo=5)
    world.publish(3, photo=6)
    sandbox.run()
    assert world.of("notify") == [3]
    sandbox.advance("9s")
    assert world.of("notify") == [3]
    sandbox.run_all()
    assert world.of("notify") == [3, 2]
    failed = world.only(State.FAILED)
    assert failed.snapshot().task == "photo.liked/notify"
    world.failing = set()
    failed.retry()
    sandbox.run()
    assert world.of("notify") == [3, 2, 1]


def test_a_later_subscription_begins_where_it_says(world: World, sandbox: Sandbox) -> None:
    """From the start it sees all that is kept, from now nothing of before, from a date the rest."""
    world.publish(1, 2)
    sandbox.advance("1h")
    world.publish(3)
    late: dict[str, list[int]] = {"all": [], "none": [], "hour": [], "third": []}
    for name, place in (
        ("all", "start"),
        ("none", "now"),
        ("hour", "30m"),
        ("third", 3),
    ):
        world.liked.subscribe(name, from_=place)(_handler(late[name]))
    world.app.topics.declare()
    world.publish(4)
    sandbox.run()
    assert late == {"all": [1, 2, 3, 4], "none": [4], "hour": [3, 4], "third": [3, 4]}


def _handler(into: list[int]) -> Any:
    def handle(event: Liked) -> None:
        into.append(event.user)

    return handle


def test_patterns_and_headers_choose(world: World, sandbox: Sandbox) -> None:
    """A pattern stands for topics of now and later; headers choose among events."""
    audit: list[tuple[str, Any]] = []
    abroad: list[int] = []

    @world.app.topics.subscribe("photo.*", "audit")
    def note(event: Event[Any]) -> None:
        audit.append((event.topic, event.data["user"]))

    @world.liked.subscribe("abroad", where={"country": "cn", "vip": "1"}, match="any")
    def far(event: Liked) -> None:
        abroad.append(event.user)

    world.liked.publish(Liked(user=1, photo=1), headers={"country": "cn"})
    world.liked.publish(Liked(user=2, photo=1), headers={"country": "de"})
    sandbox.run()
    shared = world.app.topic("photo.shared")
    world.app.topic("video.shared").publish({"user": 8})
    shared.publish({"user": 9})
    sandbox.run()
    assert sorted(audit) == [("photo.liked", 1), ("photo.liked", 2), ("photo.shared", 9)]
    assert abroad == [1]
    heard = list(world.app.topics.listen("#", "start", where={"country": "de"}, timeout=0))
    assert [(each.topic, each.data["user"]) for each in heard] == [("photo.liked", 2)]


def test_history_is_browsed_by_place_time_and_key(world: World, sandbox: Sandbox) -> None:
    """The last ones, those of an hour, those of a key, and those behind an offset."""
    world.publish(1, 2, photo=1)
    sandbox.advance("1h")
    world.publish(3, 4, photo=2)
    hour = START + timedelta(minutes=30)

    def users(**asked: Any) -> list[int]:
        return [each.data.user for each in world.liked.history(**asked)]

    assert users(last=3) == [2, 3, 4]
    assert users(since=hour) == [3, 4]
    assert users(until=hour) == [1, 2]
    assert users(key="1") == users(key="1", last=9) == [1, 2]
    assert users(after=2, limit=1) == [3]
    info = world.liked.info()
    assert (info.events, info.published, info.oldest) == (4, 4, START.timestamp())
    with pytest.raises(BadArguments, match="time zone"):
        world.liked.history(since=datetime(2026, 1, 1))  # noqa: DTZ001  that is the mistake


def test_a_replay_goes_to_one_subscription_and_touches_no_other(
    world: World, sandbox: Sandbox
) -> None:
    """It is counted first, brings what is asked for, once, and what is new goes on beside it."""
    world.publish(1, 2)
    sandbox.advance("24h")
    world.publish(3)
    sandbox.run()
    world.got.clear()
    yesterday = (START, START + timedelta(hours=12))
    assert world.liked.replay("notify", *yesterday, dry_run=True) == 2
    sandbox.run()
    assert world.got == []
    assert world.liked.replay("notify", *yesterday) == 2
    (replay,) = [each for each in world.liked.subscriptions() if each.replay]
    assert (replay.name, replay.lag, replay.until) == ("notify", 2, 2)
    world.publish(4)
    sandbox.run()
    assert sorted(world.of("notify")) == [1, 2, 4]
    assert world.of("count") == [4]
    assert not any(each.replay for each in world.liked.subscriptions())
    with pytest.raises(SubscriptionNotFound):
        world.liked.replay("nobody", START)


def test_a_subscription_is_set_back_and_forth(world: World, sandbox: Sandbox) -> None:
    """Set back it gets again what lies there, set forth it never gets it; the other stays."""
    world.publish(1, 2, 3)
    sandbox.run()
    assert world.liked.rewind("notify", 2) == 2
    sandbox.run()
    assert world.of("notify") == [1, 2, 3, 2, 3]
    world.publish(4, 5)
    assert world.liked.skip("notify") == 2
    sandbox.run()
    assert world.of("notify") == [1, 2, 3, 2, 3]
    assert world.of("count") == [1, 2, 3, 4, 5]


def test_retention_keeps_what_somebody_needs(world: World, sandbox: Sandbox) -> None:
    """Age, count and bytes let go what all have read; `unread` more, and that is not hidden."""
    store = world.app.connection.blocking()
    world.publish(1, 2, 3)
    sandbox.advance("8d")
    assert world.liked.info().events == 3  # run, but nobody has kept house

    def keep(kept: Retention) -> int:
        return step(retain(store, replace(world.liked.record, keep=kept)))

    world.publish(4, 5, 6)
    assert keep(Retention(age=7 * 86_400.0)) == 3
    assert [each.data.user for each in world.liked.history()] == [4, 5, 6]
    assert keep(Retention(age=None, count=1)) == 0  # unread
    sandbox.run()
    assert keep(Retention(age=None, count=2)) == 1
    assert keep(Retention(age=None, bytes=1)) == 1
    world.publish(7, 8)
    assert keep(Retention(age=None, count=1, unread=True)) == 2
    listener = world.liked.listen(2, timeout=0)
    with pytest.raises(HistoryGap) as gap:
        next(listener)
    assert (gap.value.first, gap.value.last) == (2, 7)
    assert [each.data.user for each in listener] == [8]
    sandbox.advance("8d")
    assert keep(Retention(age=86_400.0, unread=True)) == 1
    assert world.liked.history() == []
    world.publish(9)
    assert [each.offset for each in world.liked.history()] == [10]


def test_a_purge_removes_all_that_was_read(world: World, sandbox: Sandbox) -> None:
    """And what was not, only if that is said."""
    world.publish(1, 2)
    sandbox.run()
    world.publish(3)
    assert world.liked.purge() == 2
    assert [each.data.user for each in world.liked.history()] == [3]
    assert world.liked.purge(unread=True) == 1
    assert world.liked.history() == []
    assert world.liked.purge() == 0


def test_removing_a_subscription_frees_its_cursor(world: World, sandbox: Sandbox) -> None:
    """Nothing is kept for it any more, and nobody else notices."""
    world.publish(1)
    world.liked.unsubscribe("notify")
    sandbox.run()
    assert [each.name for each in world.liked.subscriptions()] == ["count"]
    assert world.got == [("count", 1)]
    assert world.liked.purge() == 1
    with pytest.raises(SubscriptionNotFound, match="notify"):
        world.liked.unsubscribe("notify")


async def test_a_cursor_is_not_made_for_a_subscription_that_has_gone(world: World) -> None:
    """However late whoever makes it is: it would hold back what is kept, for ever."""
    store, task = world.app.store, "photo.liked/notify"
    await world.app.topics.adeclare()
    wanted = next(each for each in world.app.topics.subscribed if each.task == task)
    late = begin(wanted, "photo.liked", 0, 0, await guard_of(store, task), replay="r", until=1)
    await world.app.topics.aunsubscribe(task)
    (answer,) = await store.commit([late])
    assert (answer.reason, answer.key) == ("conflict", f"topics/subscription/{task}")
    await follow(store, wanted)
    assert [each.subscription for each in await cursors_of(store, world.liked.record)] == [
        "photo.liked/count"
    ]
    with pytest.raises(SubscriptionNotFound):
        await world.app.topics.areplay(task, "start", "now", dry_run=False)
    await world.app.aclose()


async def test_a_cursor_goes_to_the_queue_that_its_subscription_has_now(world: World) -> None:
    """When the code says another one: else a worker of that queue would wait for it for ever."""
    store, task = world.app.store, "photo.liked/notify"
    await world.app.topics.adeclare()
    wanted = next(each for each in world.app.topics.subscribed if each.task == task)
    await declare_subscriptions(store, [replace(wanted, queue="fast", band=7)])
    cursors = [
        each for each in await cursors_of(store, world.liked.record) if each.subscription == task
    ]
    job = await world.app.job(cursors[0].job).arecord()
    assert (job.message.queue, job.message.band) == ("fast", 7)
    await world.app.aclose()


async def test_what_is_done_behind_a_place_stays_done_when_it_is_skipped_to(world: World) -> None:
    """A subscription that is set forth does not get what it had finished; one set back gets all."""
    store, task = world.app.store, "photo.liked/notify"
    await world.liked.apublish_many(Liked(user=user, photo=1) for user in range(9))

    async def notify() -> Cursor:
        found = await cursors_of(store, world.liked.record)
        return next(each for each in found if each.subscription == task)

    before = replace(await notify(), done=bits(0, [2, 5, 7]))
    await store.commit([Transition(put=(Put(before.key, encode(before)),))])
    await world.liked.askip("notify", 5)
    assert ((await notify()).offset, done_offsets(await notify())) == (4, [5, 7])
    await world.liked.arewind("notify", 2)
    assert ((await notify()).offset, done_offsets(await notify())) == (1, [])
    await world.app.aclose()


def test_each_of_several_listeners_finds_a_topic_that_is_made_later(world: World) -> None:
    """Whoever of them hears of it first."""
    first, second = (world.app.topics.listen("video.*", "start", timeout=0.05) for _ in range(2))
    assert [list(first), list(second)] == [[], []]
    world.app.topic("video.seen").publish(1)
    assert [[each.data for each in listener] for listener in (first, second)] == [[1], [1]]


def test_a_topic_that_is_removed_and_made_again_goes_on(world: World, sandbox: Sandbox) -> None:
    """Its events are gone, and its new ones are taken for none of them."""
    world.publish(1, 2)
    sandbox.run()
    world.app.topics.remove("photo.liked")
    assert not [each for each in world.app.topics.ls() if each.events]
    world.publish(3)
    sandbox.run()
    assert world.of("notify") == [1, 2, 3]
    assert [each.data.user for each in world.liked.history()] == [3]
    with pytest.raises(TopicNotFound):
        world.app.topics.remove("no.such")


def test_events_of_an_earlier_version_are_upgraded(world: World, sandbox: Sandbox) -> None:
    """Handlers see data of now; without an upgrade, and of a later version, they are kept aside."""
    app = world.app
    old = app.topic("sale")
    old.publish({"price": "3"})

    del app.topics.declared["sale"]
    sale = app.topic("sale", Sale, version=2)
    got: list[int] = []

    @sale.subscribe("book", from_="start")
    def book(event: Sale) -> None:
        got.append(event.cents)

    sale.publish(Sale(cents=5))
    sandbox.run()
    assert got == [5]
    aside = world.only(State.QUARANTINED)

    @sale.upgrade
    def to_cents(data: Any, version: int) -> Any:
        assert version == 1
        return {"cents": int(data["price"]) * 100}

    aside.retry()
    sandbox.run()
    assert got == [5, 300]


def test_a_topic_and_exchanges_feed_each_other(world: World, sandbox: Sandbox) -> None:
    """What is sent to an exchange becomes an event, and an event a message to whoever is bound."""
    app, elsewhere = world.app, list[tuple[int, int]]()
    inbox, outbox = app.exchange("inbox", "topic"), app.exchange("outbox", "headers")
    inbox.bind(world.liked, "like.#")
    outbox.bind("a", headers={"country": "cn"})
    outbox.bind("b", headers={"cloudEvents_type": "photo.liked"})
    world.liked.bind(outbox)

    @app.task(name="photo.liked")
    async def note(user: int, photo: int) -> None:
        elsewhere.append((user, photo))
        told = current.headers
        assert (told["cloudEvents_partitionkey"], current.routing_key) == (
            str(photo),
            "photo.liked",
        )

    @app.task(name="like")
    async def like(user: int, photo: int) -> None: ...

    app.topics.declare()
    job = like.using(exchange=inbox, routing_key="like.new", headers={"country": "cn"}).send(7, 9)
    sandbox.run()
    (event,) = world.liked.history()
    assert (event.id, event.key, event.data) == (job.id, "9", Liked(user=7, photo=9))
    assert event.headers == {"country": "cn", "routingkey": "like.new"}
    assert elsewhere == [(7, 9)] * 2
    assert world.of("notify") == [7]
    assert {each.name: each.exchange for each in world.liked.subscriptions()}["outbox"] == "outbox"
    assert world.liked.info().bindings == (
        Binding(source="inbox", to="topic/photo.liked", key="like.#"),
    )
    world.liked.unbind(outbox)
    inbox.unbind(world.liked, "like.#")
    assert not app.exchanges.route("inbox", "like.new")
    world.publish(8)
    sandbox.run()
    assert len(elsewhere) == 2


def test_what_comes_from_an_exchange_and_is_no_event_is_put_aside(
    world: World, sandbox: Sandbox
) -> None:
    """For a person: bytes that are no JSON though they say so, and what comes to no topic."""
    app, store = world.app, world.app.connection.blocking()
    app.topics.declare()

    def send(
        body: bytes, content_type: str, queue: str = "topic/photo.liked", **headers: str
    ) -> None:
        message = Message(
            id=new_id(), task="", body=body, queue=queue, content_type=content_type, headers=headers
        )
        step(store.commit([Transition(publish=(message,))]))

    send(b"{", "application/json")
    send(b"1", "application/json", "topic/no.such")
    send(b"1", "application/json", cloudEvents_id="7")
    send(b"[" * 1_000 + b"]" * 1_000, "application/json")
    attributes = {"id": "A-0", "source": "/s", "type": "x", "specversion": "1.0"}
    odd = {f"cloudEvents_{n}": v for n, v in {**attributes, "schemaversion": "\u00b2"}.items()}
    send(b"1", "application/json", **odd)
    sandbox.run()
    found = step(store.search(Filter(state=State.QUARANTINED))).jobs
    assert sorted(each.error.message.split(":")[0] for each in found if each.error) == [
        "it is no CloudEvent",
        "schemaversion='\u00b2' is not a version",
        "the data of a CloudEvent are no JSON",
        "the data of a CloudEvent are no JSON",
        "there is no topic for what comes to 'topic/no.such'",
    ]
    send(b'{"user":1,"photo":2}', "application/octet-stream")
    send(b"\xff", "application/octet-stream")
    send(msgspec.msgpack.encode({"user": 2, "photo": 2}), "application/msgpack")
    attributes = {"id": "A-1", "source": "/s", "type": "x", "specversion": "1.0", "subject": "s"}
    named = {f"cloudEvents:{name}": value for name, value in attributes.items()}
    send(b'{"user":3,"photo":2}', "application/json", **named)
    whole = {**attributes, "id": "A-2", "data": {"user": 4, "photo": 2}}
    send(msgspec.json.encode(whole), "application/cloudevents+json")
    sandbox.run()
    events = world.liked.history()
    assert [each.key for each in events] == ["2", None, "2", "2", "2"]
    assert [(each.id, each.source, each.headers.get("subject")) for each in events[-2:]] == [
        ("A-1", "/s", "s"),
        ("A-2", "/s", "s"),
    ]
    with pytest.raises(BadArguments, match="its key is a function"):
        app.exchange("e").bind(app.topic("by.code", int, key=str))


def test_a_circle_of_topics_and_exchanges_comes_to_an_end(world: World, sandbox: Sandbox) -> None:
    """An event that has come round too often is put aside, and says why."""
    app = world.app
    round_trip = app.exchange("round", "fanout")
    world.liked.bind(round_trip)
    round_trip.bind(world.liked)
    app.topics.declare()
    world.publish(1)
    sandbox.run_all()
    hops = [each.headers.get("ropewayhops") for each in world.liked.history()]
    assert hops == [None, *map(str, range(1, 9))]
    error = world.only(State.QUARANTINED).record().error
    assert error is not None and "bound in a circle" in error.message


def test_what_cannot_be_is_refused_where_it_is_written(world: World, sandbox: Sandbox) -> None:
    """Bad names, data, headers and handlers, and a topic that is there otherwise."""
    app, liked = world.app, world.liked
    for wrong in (
        lambda: app.topic("photo liked"),
        lambda: app.topic("photo.*"),
        lambda: app.topic("a", partitions=0),
        lambda: app.topic("a", keep="soon"),
        lambda: app.topic("a", keep=Retention(count=0)),
        lambda: app.topic("photo.liked", Liked, key="photo", partitions=2),
        lambda: liked.publish({"user": 1}),
        lambda: liked.publish(Liked(user=1, photo=1), key=""),
        lambda: liked.publish(Liked(user=1, photo=1), headers={"n": 1}),  # type: ignore[dict-item]
        lambda: liked.listen("yesterday"),
        lambda: liked.listen(datetime(2026, 1, 1)),  # noqa: DTZ001
        lambda: liked.subscribe("with space"),
        lambda: app.topics.subscribe("photo..x", "y"),
        lambda: liked.subscribe("x", key="k"),
        lambda: liked.history(limit=0),
    ):
        with pytest.raises(BadArguments):
            wrong()
    with pytest.raises(NotEncodable):
        app.topic("b").publish(float("nan"))
    with pytest.raises(MessageTooLarge, match="an event of topic"):
        app.topic("photo.large").publish("x" * 2_000_000)
    with pytest.raises(BadTask, match="one, the event"):

        @liked.subscribe("two")
        def two(event: Liked, other: int) -> None: ...

    with pytest.raises(BadTask):
        liked.subscribe("notify")(_handler([]))
    other = Ropeway("memory://")
    other.topic("photo.liked", Liked, partitions=3)
    with other.connected(app.connection), pytest.raises(TopologyConflict, match="partitions=1"):
        other.topics.declare()


def test_a_log_that_was_trimmed_by_others_is_a_gap(world: World, sandbox: Sandbox) -> None:
    """A listener that was too slow says so, once, and can go on."""
    world.publish(*range(1, 10))
    listener = world.liked.listen("start", timeout=0)
    assert next(listener).data.user == 1
    trim = Transition(trim=(Trim("topic/photo.liked/0", 5),))
    step(world.app.connection.blocking().commit([trim]))
    again = world.liked.listen(3, timeout=0)
    with pytest.raises(HistoryGap, match="events 3 to 5"):
        next(again)
    assert [each.data.user for each in again] == [6, 7, 8, 9]
