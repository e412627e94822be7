"""Runs that take too long or too much are ended by force, and nobody else is charged."""

from __future__ import annotations

import os
import signal

import pytest

from ropeway import Ropeway, TaskFailed
from ropeway.errors import BadArguments, BadTask
from tests.conftest import Eventually
from tests.worker.rig import Rig, alive, results

DEAF = """
@app.task(retries=0, timeout=0.2, hard_timeout=0.7)
async def block() -> None:
    witness("block")
    time.sleep(60)

@app.task(retries=0, timeout=0.2, hard_timeout=0.7)
def deaf() -> None:
    witness("deaf")
    time.sleep(60)

@app.task(retries=0, cpu=True, timeout=0.2, hard_timeout=0.7)
def deaf_on_a_core() -> None:
    witness("core")
    time.sleep(60)

@app.task(retries=0)
async def wait(x: int) -> int:
    witness("wait")
    await ahold()
    return x

@app.task(retries=0)
def work(x: int) -> int:
    witness("work")
    hold()
    return x

@app.task(retries=0, cpu=True)
def core(x: int) -> int:
    witness("good")
    return x
"""


def failure_of(rig: Rig, job: object) -> tuple[str, str]:
    error = rig.record(job).error  # type: ignore[arg-type]  # any job will do
    assert error is not None
    return error.type, error.message


@pytest.mark.parametrize("task", ["deaf_on_a_core"])
def test_a_core_is_taken_back_at_the_hard_limit(
    rig: Rig, eventually: Eventually, task: str
) -> None:
    """A cpu call that hears nothing is ended, and what waited behind it runs at once."""
    tasks = rig.tasks(DEAF)
    bad = tasks.deaf_on_a_core.send()
    worker = rig.worker("--cpu", "1")
    eventually(lambda: rig.marks() == ["core"])
    (pid,) = {each.pid for each in rig.executions()}
    good = [tasks.core.send(i) for i in range(5)]
    with pytest.raises(TaskFailed, match=r"hard limit of 0\.7 s"):
        bad.result(5)
    assert not alive(pid)
    assert results(good, 5) == list(range(5))
    row = rig.row(bad)
    assert (row.state, row.failures, row.losses) == ("failed", 1, 0)
    assert failure_of(rig, bad)[0] == "TimeLimit"
    assert {(row.failures, row.losses) for row in rig.rows(good)} == {(0, 0)}
    assert worker.stop() == 0


@pytest.mark.parametrize("task", ["block", "deaf"])
def test_neighbours_of_one_that_hears_nothing_finish(
    rig: Rig, eventually: Eventually, task: str
) -> None:
    """At the hard limit its child gets no more calls; only the offender is charged.

    Neighbours in threads finish; coroutines finish if it was not the loop that was blocked.
    """
    tasks = rig.tasks(DEAF)
    neighbours = [tasks.work.send(i) for i in range(3)]
    neighbours += [tasks.wait.send(3)] if task == "deaf" else []
    worker = rig.worker("--cpu", "1")
    eventually(lambda: len(rig.executions()) == len(neighbours))
    (child,) = {each.pid for each in rig.executions()}
    bad = getattr(tasks, task).send()
    eventually(lambda: "hard limit" in worker.said())
    eventually(lambda: len(worker.children) == 3)  # its successor is there before it is gone
    assert tasks.core.send(7).result(5) == 7
    assert alive(child)
    rig.open_gate()
    with pytest.raises(TaskFailed, match=r"hard limit of 0\.7 s"):
        bad.result(15)
    assert results(neighbours, 5) == list(range(len(neighbours)))
    assert not alive(child)
    for row in rig.rows(neighbours):
        assert (row.state, row.failures, row.losses) == ("succeeded", 0, 0)
    row = rig.row(bad)
    assert (row.state, row.failures, row.losses) == ("failed", 1, 0)


def test_neighbours_that_do_not_finish_in_time_go_back(rig: Rig, eventually: Eventually) -> None:
    """After `grace` the child is ended for good: the others run again, uncharged."""
    rig.set(grace="500ms")
    tasks = rig.tasks(DEAF)
    neighbours = [tasks.work.send(i) for i in range(3)]
    rig.worker()
    eventually(lambda: len(rig.executions()) == 3)
    (child,) = {each.pid for each in rig.executions()}
    bad = tasks.deaf.send()
    with pytest.raises(TaskFailed, match="hard limit"):
        bad.result(10)
    assert not alive(child)
    eventually(lambda: rig.marks().count("work") == 6)
    rig.open_gate()
    assert results(neighbours, 5) == [0, 1, 2]
    for row in rig.rows(neighbours):
        assert (row.state, row.failures, row.losses, row.releases) == ("succeeded", 0, 0, 1)


def test_the_hard_limit_follows_the_timeout(rig: Rig, eventually: Eventually) -> None:
    """Without one of its own a run has `grace` after its timeout, and then it is ended."""
    rig.set(grace="300ms")
    tasks = rig.tasks("""
        @app.task(retries=0, cpu=True)
        def deaf() -> None:
            time.sleep(60)
    """)
    bad = tasks.deaf.using(timeout=0.2).send()
    rig.worker("--cpu", "1")
    with pytest.raises(TaskFailed, match=r"hard limit of 0\.5 s"):
        bad.result(5)


def test_a_run_that_ends_in_time_is_left_alone(rig: Rig, eventually: Eventually) -> None:
    """One that obeys the soft limit never meets the hard one, and its process lives on."""
    tasks = rig.tasks("""
        @app.task(retries=0, cpu=True, timeout=0.3, hard_timeout=5)
        def obey() -> None:
            while True:
                time.sleep(0.01)

        @app.task(cpu=True)
        def who() -> int:
            return os.getpid()
    """)
    worker = rig.worker("--cpu", "1")
    pid = tasks.who.send().result(5)
    with pytest.raises(TaskFailed, match=r"timeout of 0\.3 s"):
        tasks.obey.send().result(5)
    assert tasks.who.send().result(5) == pid
    assert "hard limit" not in worker.said()


def test_a_call_that_takes_too_much_memory_fails(rig: Rig, eventually: Eventually) -> None:
    """It fails with the figure, is tried again like any failure, and charges nobody."""
    tasks = rig.tasks("""
        @app.task(retries=RetryPolicy(retries=1, base=0.01), cpu=True, memory="150MB")
        def eat() -> None:
            witness("eat")
            food = []
            while True:
                food.append(bytearray(1_000_000))
                time.sleep(0.002)

        @app.task(cpu=True, memory="150MB")
        def modest(x: int) -> int:
            return x
    """)
    bad = tasks.eat.send()
    good = [tasks.modest.send(i) for i in range(5)]
    rig.worker("--cpu", "1")
    with pytest.raises(TaskFailed, match=r"took 1\d\d,\d\d\d,\d\d\d bytes.*memory=150,000,000"):
        bad.result(15)
    assert failure_of(rig, bad)[0] == "MemoryLimit"
    row = rig.row(bad)
    assert (row.failures, row.losses) == (2, 0)
    assert results(good, 5) == list(range(5))
    assert {(row.failures, row.losses) for row in rig.rows(good)} == {(0, 0)}


def test_memory_belongs_to_cpu_tasks() -> None:
    """A limit for one call needs a process for one call; sizes are checked."""
    app = Ropeway("memory://")
    with pytest.raises(BadTask, match=r"shares its process.*\n.*cpu=True"):

        @app.task(memory="1GB", name="shared")
        def shared() -> None: ...

    with pytest.raises(BadArguments, match=r"memory='1 elephant' is not a size"):

        @app.task(cpu=True, memory="1 elephant")
        def large() -> None: ...


# -- children that are replaced --------------------------------------------------------------------


def test_children_are_recycled_by_count_and_lose_nothing(rig: Rig, eventually: Eventually) -> None:
    """Processes of every make are replaced again and again under load; each job runs once."""
    tasks = rig.tasks("""
        @app.task(retries=0)
        def work(x: int) -> int:
            witness()
            time.sleep(0.01)
            return x

        @app.task(retries=0, cpu=True)
        def core(x: int) -> int:
            witness()
            time.sleep(0.01)
            return x
    """)
    calls = [(tasks.core if i % 2 else tasks.work).call(i) for i in range(800)]
    jobs = tasks.app.send_many(calls)
    worker = rig.worker("--cpu", "1", "--threads", "1", "--recycle-calls", "50")
    assert results(jobs, 30) == list(range(800))
    assert set(rig.times_run().values()) == {1}
    assert len({each.pid for each in rig.executions()}) >= 4
    assert {(row.failures, row.losses) for row in rig.rows(jobs)} == {(0, 0)}
    eventually(lambda: len(worker.children) == 2)
    assert worker.stop() == 0


def test_a_long_run_is_not_cut_off_by_recycling(rig: Rig, eventually: Eventually) -> None:
    """A child that is replaced ends when its last call has ended, however long that takes."""
    rig.set(grace="100ms")
    tasks = rig.tasks(DEAF)
    long = tasks.wait.send(1)
    worker = rig.worker("--recycle-age", "500ms")
    eventually(lambda: len(rig.executions()) == 1)
    (child,) = {each.pid for each in rig.executions()}
    eventually(
        lambda: len(set(worker.children) - {child}) >= 1 and "is to be replaced" in worker.said()
    )
    eventually(lambda: worker.said().count("is to be replaced") >= 3)
    assert alive(child)
    rig.open_gate()
    assert long.result(5) == 1
    assert rig.row(long).attempt == 1
    eventually(lambda: not alive(child))


def test_a_child_that_grows_is_replaced(rig: Rig, eventually: Eventually) -> None:
    """One that leaks is replaced in time, before anything is lost."""
    tasks = rig.tasks("""
        leak = []

        @app.task(retries=0)
        def grow(x: int) -> int:
            witness()
            leak.append(bytearray(5_000_000))
            time.sleep(0.02)
            return x
    """)
    jobs = [tasks.grow.send(i) for i in range(60)]
    worker = rig.worker("--threads", "1", "--max-memory", "200MB")
    assert results(jobs, 30) == list(range(60))
    assert len({each.pid for each in rig.executions()}) > 1
    assert {(row.failures, row.losses) for row in rig.rows(jobs)} == {(0, 0)}
    assert "bytes of memory" in worker.said()


def test_a_call_that_eats_its_shared_process_is_put_away(rig: Rig, eventually: Eventually) -> None:
    """One that grows far beyond --max-memory ends with its child, is charged, and is the only one."""
    tasks = rig.tasks("""
        @app.task(retries=0)
        def eat() -> None:
            witness("eat")
            food = []
            while True:
                food.append(bytearray(2_000_000))
                time.sleep(0.001)

        @app.task(retries=0)
        async def wait(x: int) -> int:
            await ahold()
            return x
    """)
    neighbours = [tasks.wait.send(i) for i in range(5)]
    rig.worker("--max-memory", "150MB")
    bad = tasks.eat.send()
    eventually(lambda: rig.marks().count("eat") == 2)
    rig.open_gate()
    eventually(lambda: rig.row(bad).state == "quarantined", 20)
    assert "far beyond --max-memory" in rig.row(bad).error
    assert results(neighbours, 10) == list(range(5))
    assert {row.failures for row in rig.rows(neighbours)} == {0}


# -- children that start nothing -------------------------------------------------------------------


@pytest.mark.parametrize("how", ["block", "stop"])
def test_what_waits_in_a_child_that_starts_nothing_runs_elsewhere(
    rig: Rig, eventually: Eventually, how: str
) -> None:
    """Behind a blocked loop, and in a child that was stopped by hand, nothing waits for long."""
    tasks = rig.tasks("""
        @app.task(retries=0)
        async def block() -> None:
            witness("block")
            hold()

        @app.task(retries=0)
        async def nap() -> None:
            witness("nap")
            await asyncio.sleep(0.1)

        @app.task(retries=0)
        async def quick(x: int) -> int:
            witness("quick")
            return x
    """)
    worker = rig.worker("--children", "2")
    eventually(lambda: len(worker.children) == 2)
    blocking = tasks.block.send()
    eventually(lambda: rig.marks() == ["block"])
    (child,) = {each.pid for each in rig.executions()}
    if how == "stop":
        os.kill(child, signal.SIGSTOP)
    jobs = [tasks.quick.send(i) for i in range(60)]
    assert results(jobs, 8) == list(range(60))
    assert set(rig.times_run().values()) == {1}
    assert child not in {each.pid for each in rig.executions() if each.mark == "quick"}
    os.kill(child, signal.SIGCONT)
    rig.open_gate()
    assert blocking.result(5) is None
    # It is given work again.
    tasks.app.send_many([tasks.nap.call() for _ in range(200)])
    eventually(lambda: child in {each.pid for each in rig.executions() if each.mark == "nap"})
