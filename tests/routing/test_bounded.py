"""Queues with options: how many may wait, for how long, and where the others go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from ropeway import Ropeway
from ropeway.backends.memory import MemoryBackend
from ropeway.backends.sqlite import Blocking, Database, SqliteBackend
from ropeway.bounds import Queue
from ropeway.claims import Claim
from ropeway.clock import ManualClock
from ropeway.deadletters import DEATHS, dead_letter, deaths, goes_round
from ropeway.decide import Keep
from ropeway.errors import Backpressure, BadArguments, Refused, TopologyConflict
from ropeway.ids import new_id
from ropeway.message import Fence, JobRecord, Message, job_key
from ropeway.routing import Binding, Exchange
from ropeway.states import State
from ropeway.store import WORKERS, Backend, queue_name
from ropeway.topology import declare, delete, load
from ropeway.transition import Answer, Drop, Finish, Put, Reject, Release, Transition
from ropeway.wrappers.bounded import Bounded
from ropeway.wrappers.half import Half
from ropeway.wrappers.paired import Paired
from ropeway.wrappers.routed import Routed

FAN = Exchange(name="fan", type="fanout")
DEAD = Exchange(name="dead", type="topic")
TO_GRAVE = Binding(source="dead", to="grave", key="#")


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock of the backends."""
    return ManualClock()


@pytest.fixture(params=["memory", "sqlite", "pair"])
async def backend(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Backend]:
    """Yield each backend as an app has it."""
    inner: Backend = MemoryBackend(clock)
    if request.param == "sqlite":
        database = Database(tmp_path / "jobs.db", clock=clock)
        inner = SqliteBackend(database, Blocking(database))
    elif request.param == "pair":
        inner = Paired(Half(MemoryBackend(clock)), MemoryBackend(clock))
    found = Routed(Bounded(inner))
    await found.open()
    yield found
    await found.close()


def to(queue: str, **fields: object) -> Message:
    """Return a message for a queue."""
    return msgspec.convert({"id": new_id(), "task": "t", "queue": queue, **fields}, Message)


async def publish(backend: Backend, *messages: Message) -> list[Answer]:
    """Publish each by itself, in one commit."""
    return await backend.commit([Transition(publish=(each,)) for each in messages])


async def waiting(backend: Backend, queue: str) -> list[Message]:
    """Return what waits in a queue, the oldest first."""
    return [each.message for each in await backend.peek(queue)]


async def take(backend: Backend, queue: str) -> Fence:
    """Claim one message."""
    (found,) = await backend.receive([Claim(queue, 1)], "me", 60)
    return found.fence


async def taken(backend: Backend, queue: str) -> list[Message]:
    """Claim all that is due: of a pair some of it rests where nobody can look."""
    return [each.message for each in await backend.receive([Claim(queue, 50)], "me", 60)]


async def job(backend: Backend, job_id: str) -> JobRecord:
    """Return what is kept of a job."""
    (record,) = await backend.get([job_key(job_id)])
    assert record is not None
    return msgspec.msgpack.decode(record.value, type=JobRecord)


def summary(message: Message) -> list[tuple[str, str, int]]:
    """Say where and why a message died, the newest first."""
    return [(each["queue"], each["reason"], each["count"]) for each in deaths(message)]


async def test_reject(backend: Backend) -> None:
    """What fits is taken and the rest refused; what is leased leaves its place to another."""
    await declare(backend, queues=[Queue(name="q", max_length=2)])
    answers = await publish(backend, *(to("q") for _ in range(3)), to("other"))
    assert [each.reason for each in answers] == [None, None, "full", None]
    assert answers[2].key == queue_name("q")
    await take(backend, "q")
    late, later = to("q"), to("q")
    assert [each.ok for each in await publish(backend, late, later)] == [True, False]
    assert [each.ok for each in await publish(backend, late)] == [True]  # a lost reply


async def test_two_processes_and_one_place(tmp_path: Path) -> None:
    """Both know the limit, and one of them has the last place: twenty times."""
    backends = [Bounded(SqliteBackend(Database(tmp_path / "jobs.db"))) for _ in range(2)]
    await declare(backends[0], queues=[Queue(name="q", max_length=20)])
    won = await asyncio.gather(
        *(publish(backends[n % 2], to("q"), to("q")) for n in range(40)), return_exceptions=False
    )
    assert sum(each.ok for answers in won for each in answers) == 20
    assert len(await waiting(backends[1], "q")) == 20
    for each in backends:
        await each.close()


async def test_drop_oldest(backend: Backend) -> None:
    """The newest stay, in one commit or in many; who was dropped is cancelled and a dead letter."""
    full = Queue(name="q", max_length=3, overflow="drop_oldest", dead_letter_exchange="dead")
    await declare(backend, [DEAD], [TO_GRAVE], [full])
    sent = [to("q", body=b"%d" % n) for n in range(7)]
    for part in (sent[:1], sent[1:5], sent[5:]):
        assert all(each.ok for each in await publish(backend, *part))
    assert [each.id for each in await waiting(backend, "q")] == [each.id for each in sent[4:]]
    assert (await job(backend, sent[0].id)).state is State.CANCELLED
    dead = await waiting(backend, "grave")
    assert sorted(each.body for each in dead) == [b"0", b"1", b"2", b"3"]
    assert {tuple(summary(each)) for each in dead} == {(("q", "maxlen", 1),)}
    assert dead[0].headers["x-first-death-queue"] == "q"
    assert (dead[0].exchange, dead[0].routing_key) == ("dead", "q")
    too_many = Transition(publish=tuple(to("q") for _ in range(4)))
    assert (await backend.commit([too_many]))[0].reason == "full"


async def test_what_was_released_is_trimmed(backend: Backend) -> None:
    """A release is never refused; the next round drops what is too much."""
    await declare(backend, queues=[Queue(name="q", max_length=1, overflow="drop_oldest")])
    first, second = to("q"), to("q")
    await publish(backend, first)
    fence = await take(backend, "q")
    await publish(backend, second)
    await backend.commit([Transition(fence=fence, settle=Release("failures"))])
    assert len(await waiting(backend, "q")) == 2
    assert await backend.prune(Keep(), 100) == 1
    assert [each.id for each in await waiting(backend, "q")] == [second.id]


async def test_a_fanout_of_which_one_queue_is_full(backend: Backend) -> None:
    """As in RabbitMQ: the others have it, and the publisher is told that one has not."""
    ends = [Binding(source="fan", to=name) for name in ("a", "b", "c")]
    await declare(backend, [FAN], ends, [Queue(name="b", max_length=1, overflow="block")])
    first, second = (
        Message(id=new_id(), task="t", exchange="fan", mandatory=True) for _ in range(2)
    )
    assert (await publish(backend, first))[0].ok
    (refused,) = await publish(backend, second)
    assert (refused.reason, refused.key) == ("full", queue_name("b"))
    assert [len(await waiting(backend, name)) for name in ("a", "b", "c")] == [2, 1, 2]
    await take(backend, "b")
    assert (await publish(backend, second))[0].ok  # only what is missing is added
    assert [len(await waiting(backend, name)) for name in ("a", "b", "c")] == [2, 1, 2]


async def test_a_settle_is_not_refused(backend: Backend) -> None:
    """What a running job publishes with its end was accepted when the job was."""
    await declare(backend, queues=[Queue(name="q", max_length=1)])
    await publish(backend, to("work"), to("q"))
    done = Finish(State.SUCCEEDED)
    fence = await take(backend, "work")
    (answer,) = await backend.commit([Transition(fence=fence, publish=(to("q"),), settle=done)])
    assert answer.ok
    assert len(await taken(backend, "q")) == 2


async def test_the_time_of_a_queue(backend: Backend, clock: ManualClock) -> None:
    """What waits too long expires and goes on; its own shorter time comes first."""
    queue = Queue(name="q", message_ttl=100, dead_letter_exchange="dead", dead_letter_key="k")
    await declare(backend, [DEAD], [TO_GRAVE], [queue])
    date = clock.now() + 1_000_000
    late, dated, delayed = to("q"), to("q", expires=date), to("q", delay=50.0)
    short = to("q", terms={"expires": 10.0})
    for each in (late, dated, delayed, short):
        assert (await publish(backend, each))[0].ok
        assert (await publish(backend, each))[0].status == "repeated"
    clock.advance(11)
    assert await backend.prune(Keep(), 100) >= 1
    assert [each.id for each in await waiting(backend, "q")] != []
    assert (await job(backend, short.id)).state is State.EXPIRED
    clock.advance(90)
    await backend.prune(Keep(), 100)
    assert [each.id for each in await waiting(backend, "q")] == [delayed.id]
    dead = await waiting(backend, "grave")
    assert len(dead) == 3
    assert {(tuple(summary(each)), each.routing_key) for each in dead} == {
        ((("q", "expired", 1),), "k")
    }
    assert {(each.expires, each.delay, each.due) for each in dead} == {(None, 0.0, None)}
    assert await backend.prune(Keep(), 100) == 0
    assert await backend.scan("late/") == []


@pytest.mark.parametrize(
    ("settle", "reason"),
    [
        (Finish(State.EXPIRED), "expired"),
        (Finish(State.FAILED), "rejected"),
        (Reject("bad_arguments"), "rejected"),
        (Reject("worker_lost"), "delivery_limit"),
        (Finish(State.SUCCEEDED), None),
        (Release("failures"), None),
    ],
)
async def test_who_dies_at_work(
    backend: Backend, settle: Finish | Reject | Release, reason: str | None
) -> None:
    """The letter goes with the settle, once: also when the settle is asked for again."""
    queue = Queue(name="q", dead_letter_exchange="", dead_letter_key="grave")
    await declare(backend, queues=[queue])
    message = to("q", body=b"x", headers={"mine": "1"})
    await publish(backend, message)
    fence = await take(backend, "q")
    step = Transition(fence=fence, settle=settle)
    assert (await backend.commit([step]))[0].status == "applied"
    assert (await backend.commit([step]))[0].status == "repeated"
    stale = Transition(fence=Fence(fence.id, fence.attempt, "another"), settle=settle)
    assert (await backend.commit([stale]))[0].reason == "lost"
    dead = await taken(backend, "grave")
    assert [summary(each) for each in dead] == ([[("q", reason, 1)]] if reason else [])
    for each in dead:
        assert (each.body, each.headers["mine"], each.task) == (b"x", "1", "t")


async def test_nobody_rejects(backend: Backend, clock: ManualClock) -> None:
    """A queue that is its own dead-letter queue drops what expires, as RabbitMQ does."""
    queue = Queue(name="q", message_ttl=5, dead_letter_exchange="", dead_letter_key="q")
    await declare(backend, queues=[queue])
    await publish(backend, to("q"))
    clock.advance(6)
    await backend.prune(Keep(), 100)
    assert await taken(backend, "q") == []
    assert await backend.scan("late/") == []


async def test_round_and_round(backend: Backend, clock: ManualClock) -> None:
    """A queue to wait in and back again: counted, as often as somebody rejects."""
    work = Queue(name="work", dead_letter_exchange="", dead_letter_key="wait")
    wait = Queue(name="wait", message_ttl=10, dead_letter_exchange="", dead_letter_key="work")
    await declare(backend, queues=[work, wait])
    await publish(backend, to("work"))
    expected: list[tuple[str, str, int]] = []
    for turn in range(1, 4):
        (found,) = await backend.receive([Claim("work", 1)], "me", 60)
        assert summary(found.message) == expected
        await backend.commit([Transition(fence=found.fence, settle=Finish(State.FAILED))])
        clock.advance(11)
        await backend.prune(Keep(), 100)
        expected = [("wait", "expired", turn), ("work", "rejected", turn)]
    assert [summary(each) for each in await taken(backend, "work")] == [expected]


def test_letters_that_go_round() -> None:
    """RabbitMQ's rule: only a cycle in which nobody rejected is cut; strange headers cut none."""
    record = JobRecord(message=to("a"), state=State.RUNNING)
    queue = Queue(name="a", dead_letter_exchange="")
    letter = dead_letter(record, queue, "expired", 5.0)
    assert letter is not None
    assert goes_round(letter, "a")
    assert not goes_round(letter, "b")
    rejected = dead_letter(record, queue, "rejected", 5.0)
    assert rejected is not None
    assert not goes_round(rejected, "a")
    assert not goes_round(to("a", headers={DEATHS: "no json"}), "a")
    assert dead_letter(record, Queue(name="a"), "expired", 5.0) is None


async def test_options_that_conflict_or_cannot_be(backend: Backend) -> None:
    """A conflict names both values; nothing has changed then."""
    await declare(backend, queues=[Queue(name="q", max_length=5)])
    with pytest.raises(TopologyConflict, match=r"max_length=5, and is wanted as max_length=6"):
        await declare(backend, queues=[Queue(name="r"), Queue(name="q", max_length=6)])
    for wrong in (
        Queue(name="w", max_length=0),
        Queue(name="w", overflow="block"),
        Queue(name="w", message_ttl=0),
        Queue(name="w", dead_letter_key="k"),
        Queue(name=""),
    ):
        with pytest.raises(Refused, match="cannot be declared"):
            await declare(backend, queues=[wrong])
    assert (await load(backend)).queues == {"q": Queue(name="q", max_length=5)}
    await delete(backend, queues=["q", "unknown"])
    assert (await load(backend)).queues == {}
    assert all(each.ok for each in await publish(backend, *(to("q") for _ in range(9))))


@pytest.fixture
def app(tmp_path: Path) -> Ropeway:
    """Return an app with queues that are bounded in each way."""
    app = Ropeway(f"sqlite:///{tmp_path}/jobs.db", block_timeout=0.2)
    app.queue("few", max_length=2)
    app.queue("waits", max_length=2, overflow="block")
    app.queue("ring", max_length=2, overflow="drop_oldest")
    return app


def note(text: str) -> str:
    """Say it again."""
    return text


def test_a_full_queue_raises(app: Ropeway) -> None:
    """At once, or after the time that a send waits; nothing is stored then."""
    task = app.task(note)
    for queue in ("few", "waits"):
        calls = [task.using(queue=queue).call(str(n)) for n in range(3)]
        with pytest.raises(Backpressure, match=rf"queue '{queue}' is full: 2 messages"):
            app.send_many(calls)
        with pytest.raises(Backpressure):
            task.using(queue=queue).send("one more")
        with pytest.raises(Backpressure):
            task.using(queue=queue, unique=True).send("the only one")
    for n in range(5):
        task.using(queue="ring").send(str(n))
    with pytest.raises(BadArguments, match="declared twice"):
        app.queue("few", max_length=3)
    with pytest.raises(BadArguments, match="leaves no room"):
        app.queue("none", max_length=0)


def test_a_blocked_send_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """Many threads fill a queue of two while it is emptied: all get through, two wait at the most."""
    app = Ropeway(f"sqlite:///{tmp_path}/jobs.db")
    app.queue("waits", max_length=2, overflow="block")
    task = app.task(note)
    threads = [
        threading.Thread(target=task.using(queue="waits", unique=n % 2 == 0).send, args=(f"{n}",))
        for n in range(8)
    ]
    for each in threads:
        each.start()
    done = 0

    async def work() -> None:
        nonlocal done
        while done < len(threads):
            claim = Claim("waits", 1)
            for found in await app.store.receive([claim], "me", 60, 1.0):
                (stats,) = await app.store.stats(["waits"], 100)
                assert stats.ready <= 2
                step = Transition(fence=found.fence, settle=Finish(State.SUCCEEDED))
                await app.store.commit([step])
                done += 1
        await app.aclose()

    asyncio.run(asyncio.wait_for(work(), 20))
    for each in threads:
        each.join()


async def live(backend: Backend, holder: str, alive: bool = True) -> None:
    """Write the record of a worker, or take it back."""
    key = WORKERS + holder
    step = Transition(put=(Put(key, b""),)) if alive else Transition(drop=(Drop(key),))
    await backend.commit([step])


async def test_auto_delete(backend: Backend, clock: ManualClock) -> None:
    """It goes with its last worker, not before the first, and not while one is only paused."""
    await declare(
        backend, [FAN], [Binding(source="fan", to="q")], [Queue(name="q", auto_delete=True)]
    )
    await publish(backend, *(to("q", delay=1.0) for _ in range(3)))
    for _ in range(2):
        clock.advance(100)
        await backend.prune(Keep(), 100)
    assert "q" in (await load(backend)).queues
    for name in ("one", "two"):
        await live(backend, name)
        assert await backend.receive([Claim("q", 1)], name, 60)
    clock.advance(100)  # neither claims any more, and both live
    await backend.prune(Keep(), 100)
    await live(backend, "one", alive=False)
    await backend.prune(Keep(), 100)
    assert "q" in (await load(backend)).queues
    await live(backend, "two", alive=False)
    await backend.prune(Keep(), 100)
    found = await load(backend)
    assert (found.queues, found.bindings) == ({}, [])
    assert await waiting(backend, "q") == []
    assert [*await backend.scan("serv"), *await backend.scan("owner/")] == []


async def test_exclusive(backend: Backend, clock: ManualClock) -> None:
    """Only the first takes from it; it goes when that one has gone, and is then another queue."""
    await declare(backend, queues=[Queue(name="q", exclusive=True)])
    await publish(backend, *(to("q", delay=1.0) for _ in range(4)), to("other"))
    clock.advance(2)
    claims = [Claim("q", 1), Claim("other", 1)]
    assert len(await backend.receive(claims[:1], "one", 60)) == 1
    (other,) = await backend.receive(claims, "two", 60)
    assert other.message.queue == "other"
    assert await backend.receive(claims[:1], "two", 60, 0.01) == []
    clock.advance(20)
    await backend.prune(Keep(), 100)
    assert len(await backend.receive(claims[:1], "one", 60)) == 1
    clock.advance(40)  # nothing was heard of it, and it has no record
    await backend.prune(Keep(), 100)
    assert (await load(backend)).queues == {}
    await declare(backend, queues=[Queue(name="q", exclusive=True)])
    await publish(backend, to("q"))
    clock.advance(200)
    assert len(await backend.receive(claims[:1], "two", 60)) == 1


async def test_who_leaves_in_order_is_gone_at_once(tmp_path: Path) -> None:
    """A worker that ends says so: the queue does not wait for its silence."""
    one, two = (Bounded(SqliteBackend(Database(tmp_path / "jobs.db"))) for _ in range(2))
    await declare(one, queues=[Queue(name="q", exclusive=True)])
    await one.receive([Claim("q", 1)], "one", 60)
    await two.prune(Keep(), 100)
    assert "q" in (await load(two)).queues
    await one.close()
    await two.prune(Keep(), 100)
    assert (await load(two)).queues == {}
    await two.close()


async def test_a_queue_goes_with_its_worker(tmp_path: Path) -> None:
    """A real one: while it runs the queue stays, and when it has stopped the queue goes."""
    app = Ropeway(f"sqlite:///{tmp_path}/jobs.db")
    app.queue("mine", auto_delete=True, max_length=10)
    task = app.task(note).using(queue="mine")
    async with app.worker():
        job = await task.asend("hello")
        assert await job.aresult(timeout=10) == "hello"
        await app.store.prune(Keep(), 100)
        assert "mine" in (await app.exchanges.als()).queues
    await app.store.prune(Keep(), 100)
    assert (await app.exchanges.als()).queues == {}
    await app.aclose()
