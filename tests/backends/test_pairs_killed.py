"""A pair of real servers whose client is killed at every step: one end for each job, and its successor."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from ropeway.backends.postgres import Address, Link, PostgresBackend
from ropeway.backends.redis import LoopedLink, RedisBackend, parse
from ropeway.backends.sqlite import Database, Looped, SqliteBackend
from ropeway.blobs import load, packed
from ropeway.broker_half import Arrival
from ropeway.claims import Claim
from ropeway.decide import Keep
from ropeway.ids import new_id
from ropeway.message import KINDS, Delivery, Kind, Message
from ropeway.reference import HEADS
from ropeway.states import State
from ropeway.store import Backend, Filter
from ropeway.testing.conformance.steps import job
from ropeway.transition import Answer, Finish, Transition
from ropeway.wrappers.delegate import Delegate
from ropeway.wrappers.half import Half
from ropeway.wrappers.halves import OWED
from ropeway.wrappers.paired import Paired
from tests.conftest import AsyncEventually
from tests.servers.valkey import Valkey

LEASE = 0.3
STEPS = {
    *("get", "got", "commit", "committed", "claim", "claimed"),
    *("publish", "published", "ack", "acked"),
}
LARGE = b'["%s"]' % (b"x" * 3_000)
MOST = 1_000
"""Bytes of a body from which on it is kept apart."""

_AT_ONCE = 6


class Killed(BaseException):
    """The process is gone; nothing that a program could catch."""


class Fuse:
    """Counts the steps of one client, and kills it at one of them."""

    def __init__(self, at: int = 0) -> None:
        self.steps: list[str] = []
        self._at = at

    def step(self, name: str) -> None:
        self.steps.append(name)
        if len(self.steps) == self._at:
            raise Killed


class SteppedStore(Delegate):
    """A store that counts the ends which it has let pass."""

    def __init__(self, inner: Backend, fuse: Fuse, ends: Counter[str]) -> None:
        super().__init__(inner)
        self._fuse, self._ends = fuse, ends

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        self._fuse.step("commit")
        answers = await super().commit(transitions)
        for each, answer in zip(transitions, answers, strict=True):
            if each.settle is not None and each.fence and answer.status == "applied":
                self._ends[each.fence.id] += 1
        self._fuse.step("committed")
        return answers

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        self._fuse.step("claim")
        found = await super().receive(claims, holder, lease, wait)
        self._fuse.step("claimed")
        return found


class SteppedHalf(Half):
    """One connection to the broker, which is dropped with its client, without a word."""

    def __init__(self, backend: Backend, fuse: Fuse) -> None:
        super().__init__(backend, LEASE)
        self._fuse = fuse

    async def publish(self, messages: Sequence[Message]) -> None:
        self._fuse.step("publish")
        await super().publish(messages)
        self._fuse.step("published")

    async def get(
        self, queue: str, n: int, kinds: Collection[Kind] = KINDS, *, look: bool = True
    ) -> list[Arrival]:
        self._fuse.step("get")
        found = await super().get(queue, n, kinds, look=look)
        self._fuse.step("got")
        return found

    async def ack(self, tags: Sequence[int]) -> None:
        self._fuse.step("ack")
        await super().ack(tags)
        self._fuse.step("acked")


class Servers:
    """Makes clients of one pair of servers, and knows what they have ended."""

    def __init__(self, broker: Valkey, store: str, folder: Path) -> None:
        self._broker = f"{broker.url}?namespace={new_id()}"
        self._store, self._folder = store, folder
        self.ends: Counter[str] = Counter()

    def client(self, fuse: Fuse, stack: AsyncExitStack) -> Paired:
        """Connect anew, as another process does, until the stack is left."""
        broker, store = self._redis(self._broker), self._made()
        for each in broker, store:
            stack.push_async_callback(each.close)
        return Paired(SteppedHalf(broker, fuse), SteppedStore(store, fuse, self.ends))

    def _made(self) -> Backend:
        if self._store.startswith("postgresql"):
            return PostgresBackend(Link(Address.of(self._store)))
        if self._store.startswith("redis"):
            return self._redis(self._store)
        database = Database(self._folder / "jobs.db")
        return SqliteBackend(database, Looped(database))

    def _redis(self, url: str) -> Backend:
        return RedisBackend(LoopedLink(parse(url)))


@pytest.fixture(params=["postgresql", "redis", "sqlite"])
def servers(request: pytest.FixtureRequest, valkey: Valkey, tmp_path: Path) -> Servers:
    """Return a pair with Redis as the broker, and each kind of store."""
    stores = {"sqlite": "", "redis": f"{valkey.url}?namespace={new_id()}"}
    kind: str = request.param
    store = stores[kind] if kind in stores else request.getfixturevalue("postgres_url")
    return Servers(valkey, store, tmp_path)


async def _live(pair: Paired, first: Message, *, to_the_end: bool = False) -> None:
    """Send a job, run it and its successor; who comes after the dead looks after what they left."""
    parcel = await packed(pair, first, MOST)
    (answer,) = await pair.commit([parcel.transition])
    # Who sends again what is there already is told that somebody has it, or has had it.
    assert answer.ok or answer.reason == "duplicate"
    last, name = f"{first.id}+", new_id()
    while True:
        for each in await pair.receive([Claim(first.queue, 2)], name, LEASE):
            body = await load(pair, each.fence.id, each.message.body)
            assert body == (first.body if each.fence.id == first.id else b"[]")
            await pair.commit([_ended(each, last)])
            if each.fence.id == last and not to_the_end:
                return
        if to_the_end:
            await pair.prune(Keep(result=600, failure=600), 100)
            if await _is_quiet(pair, first.queue, last):
                return
            await asyncio.sleep(LEASE / 3)


def _ended(delivery: Delivery, last: str) -> Transition:
    after = () if delivery.fence.id == last else (_follower(delivery.message, last),)
    return Transition(fence=delivery.fence, settle=Finish(State.SUCCEEDED), publish=after)


def _follower(message: Message, last: str) -> Message:
    return Message(id=last, task="t", queue=message.queue, body=b"[]")


async def _is_quiet(pair: Paired, queue: str, last: str) -> bool:
    jobs = (await pair.search(Filter(queue=queue))).jobs
    there = {each.message.id for each in jobs if each.state.final}
    return last in there and (await pair.broker.depths([queue]))[queue] == 0


async def _killed_at(servers: Servers, step: int, body: bytes) -> str:
    """Kill a client at one step; another one goes on. Returns the name of the step."""
    first = Message(id=new_id(), task="t", queue=f"q{step}", body=body)
    fuse = Fuse(step)
    async with AsyncExitStack() as stack:
        with suppress(Killed):
            await _live(servers.client(fuse, stack), first)
        pair = servers.client(Fuse(), stack)
        async with asyncio.timeout(30):
            await _live(pair, first, to_the_end=True)
        for job_id in first.id, f"{first.id}+":
            assert (await job(pair, job_id)).state == "succeeded"
            assert servers.ends[job_id] == 1, f"killed at step {step}, {fuse.steps[-1]}"
    return fuse.steps[-1]


@pytest.mark.parametrize("body", [b"[]", LARGE], ids=["small", "large"])
async def test_a_kill_at_each_step(
    body: bytes, servers: Servers, aeventually: AsyncEventually
) -> None:
    """Settled once, followed once; what is left in the broker goes, and nothing stays owed."""
    whole = Fuse()
    async with AsyncExitStack() as stack:
        pair = servers.client(whole, stack)
        await _live(pair, Message(id=new_id(), task="t", queue="q0", body=body))
        assert set(whole.steps) >= STEPS
        few, places = asyncio.Semaphore(_AT_ONCE), list[str]()

        async def one(step: int) -> None:
            async with few:
                places.append(await _killed_at(servers, step, body))

        async with asyncio.TaskGroup() as group:
            for step in range(1, len(whole.steps) + 1):
                group.create_task(one(step))
        assert set(places) >= STEPS
        jobs = (await pair.search(Filter(), limit=1_000)).jobs
        assert len(jobs) == 2 * (len(whole.steps) + 1)
        assert await pair.scan(OWED) == []
        heads = await pair.scan(HEADS, limit=1_000)
        assert bool(heads) == (body is LARGE)
