"""Sending: durable when it returns, refused before anything is stored, from wherever it is called."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ropeway.errors import BadArguments, MessageTooLarge, NotEncodable
from tests.conftest import Eventually
from tests.worker.rig import Rig, results

TASKS = """
@app.task
def add(x: int, y: int = 0) -> int:
    return x + y

@app.task
async def anything(value) -> int:
    return 1

@app.task(queue="own", priority=7)
def mine() -> None: ...
"""


def count(rig: Rig) -> int:
    """How many jobs the database has, or the broker of a pair."""
    return int(rig.sql("select count(*) from job")[0][0]) + rig.resting()


def test_a_sent_job_is_in_the_database(rig: Rig) -> None:
    """When `send` returns the message is stored, as the task says and as `using` says."""
    tasks = rig.tasks(TASKS)
    jobs = [
        tasks.add.send(1, y=2),
        tasks.mine.send(),
        tasks.mine.using(queue="other", priority=0).send(),
        tasks.mine.using(priority=9).using(queue="third").send(),
    ]
    messages = [rig.record(job).message for job in jobs]
    assert [(each.queue, each.band) for each in messages] == [
        ("default", 5),
        ("own", 7),
        ("other", 0),
        ("third", 9),
    ]
    assert messages[0].body == b'{"x":1,"y":2}'
    assert [job.status() for job in jobs] == ["queued"] * 4
    assert [row.id for row in rig.rows()] == sorted(job.id for job in jobs)


REFUSED: list[tuple[Callable[[Any], Any], type[Exception]]] = [
    (lambda tasks: tasks.add.send(), BadArguments),
    (lambda tasks: tasks.add.send(1, 2, 3), BadArguments),
    (lambda tasks: tasks.add.send(1, z=3), BadArguments),
    (lambda tasks: tasks.add.send(1, x=3), BadArguments),
    (lambda tasks: tasks.add.send("1"), BadArguments),
    (lambda tasks: tasks.add.send(1.5), BadArguments),
    (lambda tasks: tasks.add.send(None), BadArguments),
    (lambda tasks: tasks.add.send([]), BadArguments),
    (lambda tasks: tasks.anything.send(object()), NotEncodable),
    (lambda tasks: tasks.anything.send(float("nan")), NotEncodable),
    (lambda tasks: tasks.anything.send([{"a": float("inf")}]), NotEncodable),
    (lambda tasks: tasks.anything.send("\ud800"), NotEncodable),
    (lambda tasks: tasks.anything.send(10**5000), NotEncodable),
    (lambda tasks: tasks.anything.send(deep(100_000)), NotEncodable),
    (lambda tasks: tasks.anything.send([deep(2000), None]), NotEncodable),
    (lambda tasks: tasks.anything.send(endless()), NotEncodable),
    (lambda tasks: tasks.anything.send(threading.Lock()), NotEncodable),
    (lambda tasks: tasks.anything.send("x" * 2_000_000), MessageTooLarge),
    (lambda tasks: tasks.add.using(delay=-1).send(1), BadArguments),
    (lambda tasks: tasks.add.using(delay="soon").send(1), BadArguments),
    (lambda tasks: tasks.add.using(delay=float("nan")).send(1), BadArguments),
    (lambda tasks: tasks.add.using(delay=timedelta(-1)).send(1), BadArguments),
    (lambda tasks: tasks.add.using(at=datetime(2030, 1, 1)).send(1), BadArguments),  # noqa: DTZ001
    (lambda tasks: tasks.add.using(at=datetime.now(UTC), delay=1).send(1), BadArguments),
    (lambda tasks: tasks.add.using(priority=10).send(1), BadArguments),
    (lambda tasks: tasks.add.using(queue="").send(1), BadArguments),
    (lambda tasks: tasks.add.using(queue="\ud800").send(1), BadArguments),
]


def deep(depth: int) -> Any:
    """Return a list in a list, and so on."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def endless() -> Any:
    """Return a list that holds itself."""
    value: list[Any] = []
    value.append(value)
    return value


def test_what_is_refused_is_not_stored(rig: Rig) -> None:
    """Arguments and options that cannot be are refused by a clear error, and nothing is stored."""
    rig.set(max_blob=1_500_000)
    tasks = rig.tasks(TASKS)
    tasks.add.send(1)
    for number, (send, kind) in enumerate(REFUSED):
        with pytest.raises(kind) as caught:
            send(tasks)
        assert str(caught.value), number
        assert len(str(caught.value)) < 2000, number
    assert count(rig) == 1


async def test_what_is_refused_by_the_async_verb(rig: Rig) -> None:
    """`asend` refuses what `send` does."""
    rig.set(max_blob=1_500_000)
    tasks = rig.tasks(TASKS)
    for arguments, kind in (((), BadArguments), (("1",), BadArguments)):
        with pytest.raises(kind):
            await tasks.add.asend(*arguments)
    with pytest.raises(NotEncodable):
        await tasks.anything.asend(object())
    with pytest.raises(MessageTooLarge):
        await tasks.anything.asend("x" * 2_000_000)
    await tasks.add.asend(1)
    assert count(rig) == 1
    await tasks.app.aclose()


def test_a_deep_value_that_can_be_written(rig: Rig) -> None:
    """A value that is sent comes out again on the other side, however deep it is."""
    tasks = rig.tasks("""
        @app.task
        def echo(value):
            return value
    """)
    rig.worker()
    for depth in (10, 100, 500):
        assert tasks.echo.send(deep(depth)).result(5) == deep(depth)


def test_send_many_keeps_the_order(rig: Rig) -> None:
    """Thousands of calls from an iterator are sent; the jobs come back in the order of the calls."""
    tasks = rig.tasks(TASKS)
    jobs = tasks.app.send_many(tasks.add.call(i) for i in range(3500))
    assert [row.id for row in rig.rows()] == [job.id for job in jobs]
    bodies = [rig.record(job).message.body for job in jobs[::500]]
    assert bodies == [f'{{"x":{i}}}'.encode() for i in range(0, 3500, 500)]
    assert tasks.app.send_many([]) == []


def test_send_many_stops_at_a_bad_call(rig: Rig) -> None:
    """A call that is refused while others are made raises; what was sent before it stays whole."""
    tasks = rig.tasks(TASKS)
    with pytest.raises(BadArguments):
        tasks.app.send_many(tasks.add.call(i if i < 1500 else "x") for i in range(3000))
    assert count(rig) in {0, 1000}


def test_the_same_call_twice(rig: Rig) -> None:
    """A call is one message: sent twice it is stored once, and both jobs are the same."""
    rig.needs_record()
    tasks = rig.tasks(TASKS)
    call = tasks.add.call(1)
    (first,), (second,) = tasks.app.send_many([call]), tasks.app.send_many([call])
    assert first == second
    assert count(rig) == 1
    assert len({*tasks.app.send_many([call, call])}) == 1
    assert count(rig) == 1


def test_dates_and_delays(rig: Rig) -> None:
    """A date is kept as the instant it is, whatever its zone; the last option given counts."""
    tasks = rig.tasks(TASKS)
    noon = datetime(2030, 6, 1, 12, tzinfo=timezone(timedelta(hours=8)))
    jobs = [
        tasks.add.using(at=noon).send(1),
        tasks.add.using(delay=60).using(at=noon).send(1),
        tasks.add.using(at=noon).using(delay="1h30m").send(1),
        tasks.add.using(delay=timedelta(minutes=90)).send(1),
        tasks.add.using(at=noon).using(delay=0).send(1),
    ]
    rows = rig.rows(jobs)
    assert [row.due for row in rows[:2]] == [noon.timestamp()] * 2
    assert [round(row.due - row.enqueued) for row in rows[2:]] == [5400, 5400, 0]


async def test_many_at_once_on_one_loop(rig: Rig) -> None:
    """Two hundred concurrent sends are all stored, each once, and each job is its own."""
    tasks = rig.tasks(TASKS)
    jobs = await asyncio.gather(*(tasks.add.asend(i) for i in range(200)))
    assert len({job.id for job in jobs}) == 200
    assert count(rig) == 200
    records = await asyncio.gather(*(job.arecord() for job in jobs))
    assert [each.message.body for each in records] == [f'{{"x":{i}}}'.encode() for i in range(200)]
    await tasks.app.aclose()


async def test_a_cancelled_send_harms_nobody(rig: Rig) -> None:
    """Sends that are cancelled half-way are stored whole or not at all, and others go on."""
    tasks = rig.tasks(TASKS)
    sends = [asyncio.create_task(tasks.add.asend(i)) for i in range(100)]
    await asyncio.sleep(0)
    for send in sends[::2]:
        send.cancel()
    ends = await asyncio.gather(*sends, return_exceptions=True)
    sent = {end.id for end in ends if not isinstance(end, BaseException)}
    assert len(sent) >= 50
    assert sent <= {row.id for row in rig.rows()}
    assert (await tasks.add.asend(7)).id
    await tasks.app.aclose()


def test_from_eight_threads(rig: Rig) -> None:
    """Eight threads that send at once lose nothing and mix nothing up."""
    tasks = rig.tasks(TASKS)
    jobs: dict[int, Any] = {}

    def send(start: int) -> None:
        for i in range(start, start + 50):
            jobs[i] = tasks.add.send(i)
        jobs.update(
            zip(
                range(start + 50, start + 100),
                tasks.app.send_many(tasks.add.call(i) for i in range(start + 50, start + 100)),
                strict=True,
            )
        )

    threads = [threading.Thread(target=send, args=(1000 * i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)
    assert count(rig) == len({job.id for job in jobs.values()}) == 800
    for i, job in jobs.items():
        assert rig.record(job).message.body == f'{{"x":{i}}}'.encode()


def test_from_inside_a_task(rig: Rig, eventually: Eventually) -> None:
    """A task of either kind sends others, one by one, many at once, and waits for a result."""
    tasks = rig.tasks("""
        @app.task
        def leaf(x: int) -> int:
            return x

        @app.task
        def from_thread(n: int) -> list:
            jobs = [leaf.send(i) for i in range(n)]
            jobs += app.send_many(leaf.call(i) for i in range(n))
            return [job.id for job in jobs] + [leaf.send(5).result(timeout=8)]

        @app.task
        async def from_loop(n: int) -> list:
            jobs = [await leaf.asend(i) for i in range(n)]
            jobs += await asyncio.gather(*(leaf.asend(i) for i in range(n)))
            jobs += [leaf.send(i) for i in range(n)]
            return [job.id for job in jobs] + [await (await leaf.asend(6)).aresult(timeout=8)]
    """)
    rig.worker()
    *by_thread, five = tasks.from_thread.send(20).result(10)
    *by_loop, six = tasks.from_loop.send(20).result(10)
    assert (five, six) == (5, 6)
    assert results([tasks.app.job(each) for each in by_thread]) == [*range(20)] * 2
    assert results([tasks.app.job(each) for each in by_loop]) == [*range(20)] * 3
    eventually(rig.settled)
