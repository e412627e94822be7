"""Jobs of both kinds are run and settled once: many, large, late, urgent, in queues nobody named."""

from __future__ import annotations

import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tests.conftest import Eventually
from tests.worker.rig import Rig, results

ADD = """
@app.task
def add(x: int, y: int) -> int:
    witness()
    return x + y

@app.task
async def aadd(x: int, y: int) -> int:
    witness()
    return x + y
"""


def test_both_kinds_return_their_results(rig: Rig) -> None:
    """A plain function and a coroutine function run once each, and their results come back."""
    tasks = rig.tasks(ADD)
    rig.worker()
    jobs = [tasks.add.send(2, 3), tasks.aadd.send(20, y=30)]
    assert results(jobs) == [5, 50]
    for job in jobs:
        row = rig.row(job)
        assert (row.state, row.attempt) == ("succeeded", 1)
        assert (row.failures, row.losses, row.releases) == (0, 0, 0)


@pytest.mark.parametrize("waiting", [True, False], ids=["sent before", "sent meanwhile"])
def test_thousands_run_once_each(rig: Rig, eventually: Eventually, waiting: bool) -> None:
    """Of thousands of jobs of both kinds each is executed once and settled once, by its result."""
    tasks = rig.tasks(ADD)
    calls = [(tasks.add if i % 3 else tasks.aadd).call(i, i) for i in range(3000)]
    if waiting:
        jobs = tasks.app.send_many(calls)
        worker = rig.worker("--children", "2")
    else:
        worker = rig.worker("--children", "2")
        jobs = tasks.app.send_many(calls)
    eventually(rig.settled, 12)
    assert results(jobs, 1) == [2 * i for i in range(3000)]
    assert rig.times_run() == Counter(job.id for job in jobs)
    assert {row[2:7] for row in rig.rows(jobs)} <= {
        ("succeeded", 1 + given_back, 0, 0, given_back) for given_back in range(50)
    }
    assert worker.stop() == 0


def test_large_bodies_do_not_hold_up_small_ones(rig: Rig, eventually: Eventually) -> None:
    """Two hundred arguments and results of half a megabyte pass whole, and small jobs among them."""
    tasks = rig.tasks("""
        @app.task
        def echo(text: str) -> str:
            return text[::-1]

        @app.task
        async def small(x: int) -> int:
            return -x
    """)
    rig.set(lease=5)
    texts = [f"{i:06d}" + "x" * 500_000 for i in range(200)]
    calls = [(tasks.echo.call(text), tasks.small.call(i)) for i, text in enumerate(texts)]
    jobs = tasks.app.send_many(call for pair in calls for call in pair)
    rig.worker("--children", "2")
    late = tasks.small.using(priority=9).send(1000)
    assert late.result(5) == -1000
    eventually(rig.settled, 14)
    for i, text in enumerate(texts):
        assert jobs[2 * i].result(1) == text[::-1]
        assert jobs[2 * i + 1].result(1) == -i


def test_a_signal_passes_large_bodies(rig: Rig, eventually: Eventually) -> None:
    """A stop is heard while bodies of half a megabyte stand in line for a child."""
    tasks = rig.tasks("""
        @app.task
        def slow(text: str) -> int:
            witness()
            hold()
            return len(text)
    """)
    rig.set(lease=5)
    jobs = tasks.app.send_many(tasks.slow.call("x" * 500_000) for _ in range(60))
    worker = rig.worker("--threads", "2")
    eventually(lambda: len(rig.executions()) == 2)
    worker.signal(signal.SIGTERM)
    eventually(lambda: rig.states() == {"queued": 58, "running": 2})
    rig.open_gate()
    assert worker.wait() == 0
    rig.worker("--threads", "8")
    eventually(rig.settled)
    assert results(jobs, 1) == [500_000] * 60
    assert set(rig.times_run().values()) == {1}


def test_nothing_starts_before_it_is_due(rig: Rig, eventually: Eventually) -> None:
    """A delay counts from the sending, `at` is a date; neither starts early, both start soon."""
    tasks = rig.tasks("""
        @app.task
        async def when() -> float:
            return time.time()
    """)
    rig.worker()
    start = datetime.now(UTC)
    delays = (0.3, 0.6, 1.2)
    later = {delay: tasks.when.using(delay=delay).send() for delay in delays}
    fixed = {
        delay: tasks.when.using(at=start + timedelta(seconds=delay)).send() for delay in delays
    }
    past = tasks.when.using(at=start - timedelta(days=1)).send()
    assert past.result(5) < start.timestamp() + 0.3
    for delay in delays:
        for job in (later[delay], fixed[delay]):
            begun = job.result(5) - start.timestamp()
            assert delay <= begun + 0.001
            assert begun < delay + 0.5
    assert all(row.attempt == 1 for row in rig.rows())


def test_priority_is_the_order_with_one_slot(rig: Rig, eventually: Eventually) -> None:
    """What waits is taken by priority, 9 first, and in the order of sending among equals."""
    tasks = rig.tasks("""
        @app.task
        async def note(mark: str) -> None:
            witness(mark)
    """)
    wanted = []
    for i in range(60):
        priority = i * 7 % 10
        tasks.note.using(priority=priority).send(f"{9 - priority}-{i:02d}")
        wanted.append(f"{9 - priority}-{i:02d}")
    rig.worker("--loop-slots", "1", "--threads", "1")
    eventually(rig.settled)
    assert rig.marks() == sorted(wanted)


def test_only_the_named_queues_are_served(rig: Rig, eventually: Eventually) -> None:
    """A worker with -Q serves these queues and no other, also when they are nobody's default."""
    tasks = rig.tasks(ADD)
    other = tasks.add.send(1, 1)
    jobs = [tasks.add.using(queue=name).send(1, 2) for name in ("a", "b", "c ü/7")]
    rig.worker("-Q", "a,b", "-Q", "c ü/7")
    assert results(jobs) == [3, 3, 3]
    assert rig.row(other).state == "queued"
    assert rig.row(other).attempt == 0


def test_queues_are_served_by_a_pattern(rig: Rig) -> None:
    """A star in a name takes in queues that are there, and such as come later, and no others."""
    tasks = rig.tasks(ADD)
    other = tasks.add.send(1, 1)
    jobs = [tasks.add.using(queue=name).send(1, 2) for name in ("mail.a", "mail.b", "x")]
    rig.worker("-Q", "mail.*,x")
    assert results(jobs) == [3, 3, 3]
    assert tasks.add.using(queue="mail.c").send(2, 2).result(5) == 4
    assert rig.row(other).attempt == 0


def test_queues_that_nobody_declared_are_served(rig: Rig) -> None:
    """A worker without -Q finds a queue that no task names, before and after it has started."""
    tasks = rig.tasks(ADD)
    before = tasks.add.using(queue="surprise").send(1, 1)
    rig.worker()
    assert before.result(5) == 2
    after = [tasks.add.using(queue=f"surprise {i}").send(1, i) for i in range(5)]
    assert results(after) == [1 + i for i in range(5)]


def test_a_busy_queue_does_not_hide_a_new_one(rig: Rig, eventually: Eventually) -> None:
    """A queue that nobody declared is found by a worker that always has something else to do."""
    tasks = rig.tasks("""
        @app.task
        def busy() -> None:
            if not gate():
                busy.send()

        @app.task
        def rare() -> str:
            return "found"
    """)
    tasks.app.send_many(tasks.busy.call() for _ in range(2000))
    rig.worker("--threads", "4")
    eventually(lambda: rig.states()["succeeded"] > 100)
    job = tasks.rare.using(queue="new").send()
    try:
        assert job.result(5) == "found"
    finally:
        rig.open_gate()
    eventually(rig.settled, 12)


def test_workers_share_a_file(rig: Rig, eventually: Eventually) -> None:
    """Three workers on one file run each job once, and each of them gets some."""
    tasks = rig.tasks("""
        @app.task
        async def nap(x: int) -> int:
            witness()
            await asyncio.sleep(0.002)
            return x
    """)
    workers = [rig.worker(ready=False) for _ in range(3)]
    for worker in workers:
        eventually(lambda: "children" in worker.said())  # noqa: B023  it is called at once
    jobs = tasks.app.send_many(tasks.nap.call(i) for i in range(1200))
    eventually(rig.settled, 12)
    assert results(jobs, 2) == list(range(1200))
    assert rig.times_run() == Counter(job.id for job in jobs)
    assert len({each.pid for each in rig.executions()}) == 3
    for worker in workers:
        worker.signal(signal.SIGTERM)
    assert [worker.wait() for worker in workers] == [0, 0, 0]


def test_equal_jobs_keep_their_order(rig: Rig, eventually: Eventually) -> None:
    """One slot runs jobs of one queue in the order in which they were sent."""
    tasks = rig.tasks("""
        @app.task
        def note(i: int) -> None:
            witness(str(i))
    """)
    for i in range(100):
        tasks.note.send(i)
    tasks.app.send_many(tasks.note.call(i) for i in range(100, 400))
    rig.worker("--loop-slots", "1", "--threads", "1")
    eventually(rig.settled)
    assert all(int(a) < int(b) for a, b in pairwise(rig.marks()))


def test_busy_threads_do_not_hold_up_coroutines(rig: Rig, eventually: Eventually) -> None:
    """While every thread is taken by a long call, coroutines that are sent later still run."""
    tasks = rig.tasks("""
        @app.task
        def long() -> None:
            witness("long")
            hold()

        @app.task
        async def short() -> str:
            return "done"
    """)
    rig.worker("--threads", "2")
    tasks.app.send_many(tasks.long.call() for _ in range(5))
    eventually(lambda: rig.marks() == ["long"] * 2)
    jobs = [tasks.short.send(), tasks.short.using(queue="other").send()]
    try:
        assert results(jobs, 1.5) == ["done", "done"]
    finally:
        rig.open_gate()
    eventually(rig.settled)
