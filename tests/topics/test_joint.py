"""Publishing in the caller's own transactions: offsets in the order of their ends, and nobody waits."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from ropeway import RetryPolicy, Ropeway, Topic, current
from ropeway.errors import BadArguments, Unsupported
from ropeway.stepping import step
from ropeway.topics.events import MARKER
from ropeway.transition import Append, Put, Transition
from tests.conftest import AsyncEventually

STEPS = int(os.environ.get("JOINT_STEPS", "400"))
"""What `make test` can pay for; 20000 were run."""


@pytest.fixture
def app(postgres_url: str) -> Ropeway:
    """Return an app in an empty database."""
    return Ropeway(postgres_url)


@pytest.fixture
def topic(app: Ropeway) -> Topic[Any]:
    """Return a topic of lists: who publishes, and the how manieth that is."""
    topic = app.topic("mine", list[int], key=lambda data: str(data[0]))
    app.topics.declare()
    return topic


@pytest.fixture
def connections(postgres_url: str) -> Iterator[list[psycopg.Connection[Any]]]:
    """Return four connections, each of which may have a transaction open."""
    opened = [psycopg.connect(postgres_url) for _ in range(4)]
    yield opened
    for each in opened:
        each.close()


def test_whoever_reads_misses_nothing_that_is_committed_later(
    topic: Topic[Any], connections: list[psycopg.Connection[Any]]
) -> None:
    """Four publish in transactions that end in any order, or beside them; three read all the while.

    Broken: an offset is given when an event is written, and not when it is committed.
    """
    heard: list[list[list[int]]] = [[], [], []]
    over = threading.Event()

    def listen(into: list[list[int]]) -> None:
        listener = topic.listen("start", timeout=0.02)
        while True:
            last = over.is_set()
            into += [event.data for event in listener]
            if last:
                return

    threads = [threading.Thread(target=listen, args=(each,)) for each in heard]
    for thread in threads:
        thread.start()
    published = _at_random(topic, connections)
    over.set()
    for thread in threads:
        thread.join(30)
    for each in heard:
        for who, numbers in published.items():
            assert [number for whose, number in each if whose == who] == numbers
    kept = topic.history(limit=STEPS + 1)
    assert [each.offset for each in kept] == list(range(1, len(kept) + 1))
    times = [each.time for each in kept]
    assert times == sorted(times)


def _at_random(
    topic: Topic[Any], connections: list[psycopg.Connection[Any]]
) -> dict[int, list[int]]:
    """Publish at random; returns what was committed by each, in its order."""
    chance = random.Random(7)
    committed, pending = defaultdict[int, list[int]](list), defaultdict[int, list[int]](list)
    for number in range(STEPS):
        who = chance.randrange(len(connections))
        match chance.randrange(8):
            case 0:
                connections[who].rollback()
                pending[who].clear()
            case 1 | 2:
                connections[who].commit()
                committed[who] += pending[who]
                pending[who].clear()
            case 3 if not pending[who]:
                topic.publish(
                    [who, number]
                )  # behind what it has committed, though that has no place
                committed[who].append(number)
            case _:
                topic.using(connection=connections[who]).publish([who, number])
                pending[who].append(number)
    for who, connection in enumerate(connections):
        connection.commit()
        committed[who] += pending[who]
    return committed


def test_an_open_transaction_holds_up_nobody(
    app: Ropeway, topic: Topic[Any], connections: list[psycopg.Connection[Any]]
) -> None:
    """Others publish and read meanwhile; and many events of one find their places in steps."""
    joint = topic.using(connection=connections[0])
    assert joint.publish_many([[0, number] for number in range(4_500)]) == 4_500
    before = time.time()
    assert topic.publish([1, 0]).offset == 1
    assert [each.data for each in topic.history()] == [[1, 0]]
    connections[0].commit()
    assert topic.publish([1, 1]).offset == 4_502
    assert [each.data for each in topic.history(last=2)] == [[0, 4_499], [1, 1]]
    joint.publish([0, 4_500])
    connections[0].commit()
    # A commit of other things too takes in what was there before it.
    log = "topic/mine/0"
    change = Transition(append=(Append(log, MARKER),), put=(Put("k", b""),))
    (answer,) = step(app.connection.blocking().commit([change]))
    assert answer.offsets == {log: 4_504}
    assert topic.info().published == 4_504
    assert topic.history(after=4_502)[0].data == [0, 4_500]
    assert all(abs(each.time - before) < 60 for each in topic.history(last=3))


async def test_a_subscriber_hears_of_it_at_the_commit(
    app: Ropeway, postgres_url: str, aeventually: AsyncEventually
) -> None:
    """Not before; and a task publishes in the transaction that it is settled with, once."""
    topic = app.topic("mine", int)
    got: list[int] = []

    @topic.subscribe("all", from_="start")
    async def note(event: int) -> None:
        got.append(event)

    @app.task(retries=RetryPolicy(retries=1, base=0.01))
    async def work(number: int) -> None:
        async with current.transaction() as connection:
            await topic.using(connection=connection).apublish(number)
        if current.attempt == 1:
            raise ValueError("as planned")

    async with app.worker():
        async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
            await topic.using(connection=connection).apublish(1)
            await topic.apublish(2)
            await aeventually(lambda: got == [2])
        await aeventually(lambda: got == [2, 1])
        await (await work.asend(3)).aresult(timeout=20)
        await aeventually(lambda: got == [2, 1, 3])
    await app.aclose()


def test_where_it_cannot_be_it_is_refused(
    topic: Topic[Any], connections: list[psycopg.Connection[Any]]
) -> None:
    """Topics that are elsewhere, and what is no connection."""
    with pytest.raises(BadArguments, match="cannot take part"):
        topic.using(connection="postgresql://")
    elsewhere = Ropeway("memory://").topic("mine", list[int]).using(connection=connections[0])
    with pytest.raises(Unsupported, match="own transaction") as refused:
        elsewhere.publish([1, 1])
    assert "postgresql://" in refused.value.hint
