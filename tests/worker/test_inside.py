"""What a task asks of the backend goes over its supervisor's one connection."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import Eventually
from tests.worker.rig import Rig, results

FORMS = pytest.mark.parametrize("form", ["plain", "coroutine"])

BOTH = """
@app.task
def double(x: int) -> int:
    return 2 * x

@app.task
async def adouble(x: int) -> int:
    return 2 * x
"""


def connections(pid: int, database: Path) -> int:
    """Count how often a process has the database open."""
    links = (os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd"))
    return sum(link == str(database) for link in links)


def test_every_verb_of_a_job_works_from_inside(rig: Rig) -> None:
    """Sent, waited for and looked at from a thread, a coroutine, and a sync call inside one."""
    tasks = rig.tasks(
        BOTH
        + """
@app.task
def plain(x: int) -> list:
    job = double.send(x)
    jobs = app.send_many([adouble.call(x), double.using(delay=0.05).call(x)])
    return [job.result(5), *(each.result(5) for each in jobs), str(job.status())]

@app.task
async def coroutine(x: int) -> list:
    job = await double.asend(x)
    jobs = await app.asend_many([adouble.call(x), double.using(delay=0.05).call(x)])
    return [await job.aresult(5), *[await each.aresult(5) for each in jobs], str(job.status())]

@app.task
async def sync_inside(x: int) -> list:
    job = double.send(x)
    jobs = app.send_many([adouble.call(x), double.call(x)])
    return [await job.aresult(5), *[await each.aresult(5) for each in jobs], str(job.status())]
"""
    )
    worker = rig.worker()
    jobs = [tasks.plain.send(1), tasks.coroutine.send(2), tasks.sync_inside.send(3)]
    assert results(jobs) == [[2 * i, 2 * i, 2 * i, "succeeded"] for i in (1, 2, 3)]
    (child,) = worker.children
    assert connections(child, rig.database) == 0
    assert connections(worker.pid, rig.database) > 0


def test_a_loop_of_a_tasks_own(rig: Rig) -> None:
    """A task that runs an event loop in its thread can send and wait there."""
    tasks = rig.tasks(
        BOTH
        + """
@app.task
def inner_loop(x: int) -> int:
    async def main() -> int:
        try:
            return await (await adouble.asend(x)).aresult(5)
        finally:
            await app.aclose()
    return asyncio.run(main())
"""
    )
    rig.worker()
    assert tasks.inner_loop.send(4).result(10) == 8


def test_a_task_that_closes_leaves_its_neighbours_alone(rig: Rig, eventually: Eventually) -> None:
    """What one task gives up on the shared loop is not taken from those that wait there."""
    tasks = rig.tasks(
        BOTH
        + """
@app.task
async def waiter() -> int:
    job = await double.using(queue="later").asend(1)
    witness()
    return await job.aresult(10)

@app.task
async def closer() -> int:
    await adouble.asend(1)
    await app.aclose()
    return await (await adouble.asend(2)).aresult(5)
"""
    )
    rig.worker("-Q", "default")
    waiters = [tasks.waiter.send() for _ in range(5)]
    eventually(lambda: len(rig.executions()) == 5)
    assert tasks.closer.send().result(5) == 4
    rig.worker("-Q", "later")
    assert results(waiters) == [2] * 5


def test_errors_from_inside_are_the_usual_ones(rig: Rig) -> None:
    """What the backend refuses is raised in the task, with its class and its words."""
    tasks = rig.tasks("""
        from ropeway.errors import JobNotFound

        @app.task
        def look() -> str:
            try:
                app.job("0" * 32).status()
            except JobNotFound as error:
                return error.fact

        @app.task
        async def alook() -> str:
            try:
                await app.job("0" * 32).astatus()
            except JobNotFound as error:
                return error.fact
    """)
    rig.worker()
    for fact in results([tasks.look.send(), tasks.alook.send()]):
        assert fact == f"nothing is kept of job {'0' * 32}"


MANY = """
@app.task
async def leaf(i: int) -> None:
    pass

@app.task
def tick(i: int) -> None:
    witness("tick")

@app.task
def plain() -> float:
    witness("start")
    start = time.perf_counter()
    jobs = app.send_many(leaf.using(queue="leaves").call(i) for i in range(10_000))
    witness("sent")
    assert len(jobs) == 10_000
    return time.perf_counter() - start

@app.task
async def coroutine() -> float:
    witness("start")
    start = time.perf_counter()
    jobs = await app.asend_many(leaf.using(queue="leaves").call(i) for i in range(10_000))
    witness("sent")
    assert len(jobs) == 10_000
    return time.perf_counter() - start
"""


@FORMS
def test_ten_thousand_from_inside(rig: Rig, eventually: Eventually, form: str) -> None:
    """They are all kept, and neighbours in the same child and in another are not held up."""
    tasks = rig.tasks(MANY)
    rig.set(lease=5)
    rig.worker("--children", "2", "-Q", "default")
    sender = getattr(tasks, form).send()
    sent = 0
    while rig.row(sender).state != "succeeded":
        tasks.tick.send(sent)
        sent += 1
        time.sleep(0.01)
    print(f"10,000 from inside, {form}: {sender.result(1):.2f} s")
    leaves = "select count(*) from job where task = 'tasks.leaf' and state = 0"
    assert rig.sql(leaves) == [(10_000,)]
    eventually(lambda: rig.marks().count("tick") == sent)
    marks = rig.marks()
    assert "tick" in marks[marks.index("start") : marks.index("sent")]


def test_large_bodies_from_inside(rig: Rig, eventually: Eventually) -> None:
    """Sixty megabytes that two tasks send arrive whole, and a stop is heard meanwhile."""
    tasks = rig.tasks("""
        @app.task
        def leaf(text: str) -> None:
            pass

        def calls(mark):
            return [leaf.using(queue="leaves").call(mark * 1_000_000) for _ in range(30)]

        @app.task
        def plain() -> int:
            witness()
            return len(app.send_many(calls("a")))

        @app.task
        async def coroutine() -> int:
            witness()
            return len(await app.asend_many(calls("b")))
    """)
    rig.set(lease=5)
    worker = rig.worker("-Q", "default")
    jobs = [tasks.plain.send(), tasks.coroutine.send()]
    eventually(lambda: len(rig.executions()) == 2)
    assert worker.stop() == 0
    assert results(jobs, 1) == [30, 30]
    sizes = rig.sql("select length(body) from job where task = 'tasks.leaf'")
    assert len(sizes) == 60
    assert min(sizes) > (1_000_000,)


@FORMS
def test_hundreds_wait_for_others(rig: Rig, eventually: Eventually, form: str) -> None:
    """Many tasks that each wait for one of their own all come to their end."""
    tasks = rig.tasks(
        BOTH
        + """
@app.task
def plain(x: int) -> int:
    return adouble.send(x).result(10)

@app.task
async def coroutine(x: int) -> int:
    return await (await double.asend(x)).aresult(10)
"""
    )
    rig.set(lease=5)
    rig.worker("--children", "2", "--loop-slots", "150", "--threads", "16")
    task = getattr(tasks, form)
    jobs = tasks.app.send_many(task.call(i) for i in range(24 if form == "plain" else 200))
    assert results(jobs) == [2 * i for i in range(len(jobs))]


def test_a_process_that_a_task_forks_can_send(rig: Rig) -> None:
    """It has a connection of its own, so that it cannot take the replies of its parent."""
    tasks = rig.tasks(
        BOTH
        + """
import multiprocessing

def ended_well(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

def in_the_fork(x):
    status = 1
    try:
        status = 0 if double.send(x).result(5) == 2 * x else 2
    finally:
        os._exit(status)

@app.task
def plain(x: int) -> int:
    assert double.send(x).result(5) == 2 * x
    pid = os.fork() or in_the_fork(x)
    mine = [double.send(i).result(5) for i in range(20)]
    assert mine == [2 * i for i in range(20)]
    assert ended_well(pid)
    process = multiprocessing.get_context("fork").Process(target=in_the_fork, args=(x,))
    process.start()
    process.join()
    return process.exitcode

@app.task
async def coroutine(x: int) -> int:
    assert await (await double.asend(x)).aresult(5) == 2 * x
    pid = os.fork() or in_the_fork(x)
    mine = [await (await double.asend(i)).aresult(5) for i in range(20)]
    assert mine == [2 * i for i in range(20)]
    assert await asyncio.to_thread(ended_well, pid)
    return 0
"""
    )
    rig.worker()
    assert results([tasks.plain.send(1), tasks.coroutine.send(2)], 20) == [0, 0]


@FORMS
def test_a_killed_child_loses_nothing_it_was_told_is_kept(
    rig: Rig, eventually: Eventually, form: str
) -> None:
    """Whatever `send` returned for is there when the child is killed in the middle of the next."""
    tasks = rig.tasks("""
        @app.task
        def leaf(i: int) -> None:
            pass

        def note(job):
            path = os.path.join(os.environ["RIG"], "acknowledged")
            with open(path, "a") as file:
                file.write(job.id + "\\n")

        @app.task(retries=0)
        def plain() -> None:
            while not gate():
                note(leaf.using(queue="leaves").send(1))

        @app.task(retries=0)
        async def coroutine() -> None:
            while not gate():
                note(await leaf.using(queue="leaves").asend(1))
    """)
    worker = rig.worker("-Q", "default", "--children", "1")
    noted = rig.folder / "acknowledged"
    jobs = [getattr(tasks, form).send() for _ in range(3)]
    for _ in range(2):
        start = noted.stat().st_size if noted.exists() else 0
        eventually(lambda: noted.exists() and noted.stat().st_size > start + 2000)  # noqa: B023
        (child,) = eventually(lambda: worker.children)
        os.kill(child, signal.SIGKILL)
        eventually(lambda: worker.children not in ([child], []))  # noqa: B023
    rig.open_gate()
    eventually(lambda: {row.state for row in rig.rows(jobs)} <= {"succeeded", "quarantined"})
    acknowledged = [line for line in noted.read_text().splitlines() if len(line) > 10]
    kept = Counter(row.id for row in rig.rows() if row.task == "tasks.leaf")
    assert set(acknowledged) <= set(kept)
    assert worker.stop() == 0


@FORMS
def test_a_stop_while_a_task_waits_for_a_reply(rig: Rig, eventually: Eventually, form: str) -> None:
    """Tasks that wait for a result go on waiting for `grace`, are given back, and nothing hangs."""
    tasks = rig.tasks("""
        @app.task
        def leaf() -> None:
            pass

        @app.task
        def plain() -> None:
            job = leaf.using(queue="nobody").send()
            witness()
            job.result(60)

        @app.task
        async def coroutine() -> None:
            job = await leaf.using(queue="nobody").asend()
            witness()
            await job.aresult(60)
    """)
    rig.set(grace=1)
    jobs = [getattr(tasks, form).send() for _ in range(4)]
    worker = rig.worker("-Q", "default")
    eventually(lambda: len(rig.executions()) == 4)
    start = time.monotonic()
    assert worker.stop() == 11
    assert time.monotonic() - start < 4
    assert {row.state for row in rig.rows(jobs)} == {"queued"}
    assert {(row.failures, row.losses, row.releases) for row in rig.rows(jobs)} == {(0, 0, 1)}


@FORMS
def test_what_a_task_sends_during_a_stop_is_kept(
    rig: Rig, eventually: Eventually, form: str
) -> None:
    """A worker that stops serves its tasks to their end."""
    tasks = rig.tasks("""
        @app.task
        def leaf() -> None:
            pass

        @app.task
        def plain() -> str:
            witness()
            hold()
            return leaf.using(queue="nobody").send().id

        @app.task
        async def coroutine() -> str:
            witness()
            await ahold()
            return (await leaf.using(queue="nobody").asend()).id
    """)
    job = getattr(tasks, form).send()
    worker = rig.worker("-Q", "default")
    eventually(rig.executions)
    worker.signal(signal.SIGTERM)
    eventually(lambda: "stopping" in worker.said())
    rig.open_gate()
    assert worker.wait() == 0
    assert tasks.app.job(job.result(1)).status() == "queued"
