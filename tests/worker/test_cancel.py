"""A job that is cancelled ends soon, wherever it is, and nothing else does."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ropeway.results import Job
from ropeway.states import State
from ropeway.stepping import step
from ropeway.transition import Answer, Cancel, Transition
from tests.conftest import Eventually
from tests.worker.rig import Rig, alive, results

WORK = """
@app.task(retries=3)
async def awork(mark: str) -> str:
    witness(mark)
    try:
        await ahold()
    finally:
        witness(mark + "-left")
    return mark

@app.task
def work(mark: str) -> str:
    witness(mark)
    hold()
    return mark

@app.task
async def stubborn() -> str:
    witness("stubborn")
    while not gate():
        try:
            await ahold()
        except asyncio.CancelledError:
            witness("asked")
    return "done"
"""


def cancel(rig: Rig, *jobs: Job[Any]) -> Answer:
    """Ask for jobs to be cancelled, as a program beside the worker does."""
    wanted = Transition(cancel=tuple(Cancel(job.id) for job in jobs))
    answers: list[Answer] = step(rig.module.app.connection.blocking().commit([wanted]))
    return answers[0]


def test_a_running_job_ends_and_its_neighbours_go_on(rig: Rig, eventually: Eventually) -> None:
    """With leases of a minute a coroutine and a function are stopped within two seconds."""
    rig.set(lease=60)
    tasks = rig.tasks(WORK)
    jobs = [tasks.awork.send("a"), tasks.work.send("b"), tasks.awork.send("c")]
    neighbours = [tasks.work.send("d"), tasks.awork.send("e")]
    worker = rig.worker()
    eventually(lambda: len(rig.executions()) == 5)
    start = time.monotonic()
    assert set(cancel(rig, *jobs).flagged) == {job.id for job in jobs}
    eventually(lambda: {row.state for row in rig.rows(jobs)} == {"cancelled"}, 2)
    assert time.monotonic() - start < 2
    assert {"a-left", "c-left"} <= set(rig.marks())
    assert [row.state for row in rig.rows(neighbours)] == ["running"] * 2
    rig.open_gate()
    assert results(neighbours) == ["d", "e"]
    assert worker.stop() == 0
    assert set(rig.times_run().values()) == {1, 2}  # those that were left say so themselves
    assert rig.states() == {"cancelled": 3, "succeeded": 2}


def test_jobs_that_wait_are_never_started(rig: Rig) -> None:
    """What is queued or delayed ends at once, and the worker that comes later runs the rest."""
    tasks = rig.tasks(WORK)
    queued, rest = tasks.awork.send("a"), tasks.awork.send("b")
    delayed = tasks.awork.using(delay=0.5).send("c")
    assert cancel(rig, queued, delayed).cancelled == (queued.id, delayed.id)
    assert rig.record(queued).state is State.CANCELLED
    later = tasks.awork.using(delay=0.6).send("d")  # due when the delayed one has been
    rig.open_gate()
    rig.worker()
    assert results([rest, later]) == ["b", "d"]
    assert rig.marks() == ["b", "b-left", "d", "d-left"]
    assert rig.states() == {"cancelled": 2, "succeeded": 2}


def test_a_task_that_goes_on_may_finish(rig: Rig, eventually: Eventually) -> None:
    """One that is asked to stop and does not is asked again, and its result stands."""
    tasks = rig.tasks(WORK)
    job = tasks.stubborn.send()
    rig.worker()
    eventually(lambda: rig.marks() == ["stubborn"])
    cancel(rig, job)
    eventually(lambda: rig.marks().count("asked") >= 2)
    assert rig.record(job).cancelling
    rig.open_gate()
    assert job.result(5) == "done"


def test_a_worker_that_dies_with_it_takes_nobody_along(rig: Rig, eventually: Eventually) -> None:
    """A job that is to be cancelled ends with its worker; the next one does not run it."""
    tasks = rig.tasks(WORK)
    job, other = tasks.stubborn.send(), tasks.work.send("b")
    worker = rig.worker()
    eventually(lambda: len(rig.executions()) == 2)
    cancel(rig, job)
    worker.kill()
    rig.worker()
    rig.open_gate()
    assert other.result(5) == "b"
    eventually(lambda: rig.row(job).state == "cancelled", 5)
    assert rig.row(job).attempt == 1


HANGING = """
@app.task(cpu=True)
def core() -> None:
    witness("core")
    hold("never")

@app.task(cpu=True)
def deaf_core() -> None:
    witness("deaf_core")
    time.sleep(60)

@app.task(cpu=True)
def other_core(x: int) -> int:
    return x

@app.task
def thread() -> None:
    witness("thread")
    hold("never")

@app.task
async def loop() -> None:
    witness("loop")
    await ahold("never")

@app.task
def deaf(seconds: float) -> None:
    witness("deaf")
    time.sleep(seconds)

@app.task
async def wait(x: int) -> int:
    witness("wait")
    await ahold()
    return x
"""


@pytest.mark.parametrize("task", ["loop", "thread", "core", "deaf_core"])
def test_each_kind_is_stopped_within_a_second(rig: Rig, eventually: Eventually, task: str) -> None:
    """Also a cpu call that hears nothing: its process is ended, and another one goes on."""
    rig.set(lease=60)
    tasks = rig.tasks(HANGING)
    job = getattr(tasks, task).send()
    worker = rig.worker("--cpu", "1")
    eventually(lambda: rig.marks() == [task])
    behind = tasks.other_core.send(7)
    start = time.monotonic()
    cancel(rig, job)
    eventually(lambda: rig.row(job).state == "cancelled", 2)
    assert time.monotonic() - start < 1
    assert (rig.row(job).failures, rig.row(job).losses, rig.marks()) == (0, 0, [task])
    assert behind.result(5) == 7
    (pid,) = {each.pid for each in rig.executions()}
    assert alive(pid) is (task != "deaf_core")
    assert worker.stop() == 0


def test_a_thread_that_hears_nothing_ends_with_its_process(
    rig: Rig, eventually: Eventually
) -> None:
    """Its child is retired, its neighbours finish, and the job is cancelled in the end."""
    rig.set(lease=60)
    tasks = rig.tasks(HANGING)
    job, neighbour = tasks.deaf.send(60), tasks.wait.send(1)
    worker = rig.worker("--cpu", "1")
    eventually(lambda: len(rig.executions()) == 2)
    (child,) = {each.pid for each in rig.executions()}
    cancel(rig, job)
    eventually(lambda: "it does not stop when it is told to" in worker.said(), 8)
    assert alive(child)
    rig.open_gate()
    assert neighbour.result(5) == 1
    eventually(lambda: rig.row(job).state == "cancelled", 5)
    assert not alive(child)
    assert (rig.row(neighbour).attempt, rig.row(neighbour).losses) == (1, 0)
    assert tasks.deaf.send(0).result(5) is None
