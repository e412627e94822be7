"""What has a free place of its kind is run, whatever else waits or runs for long."""

from __future__ import annotations

import time

from ropeway.ids import new_id
from ropeway.message import Message
from ropeway.results import Job
from ropeway.worker.asking import DETOUR_PAUSE
from tests.conftest import Eventually
from tests.worker.rig import Rig, results

TASKS = """
@app.task(retries=0)
def long() -> str:
    witness("long")
    hold()
    return "long"

@app.task(retries=0)
def quick(x: int) -> int:
    return x

@app.task(retries=0)
async def short(x: int) -> int:
    return x

@app.task(retries=0)
async def late() -> float:
    return time.time()
"""


def test_a_backlog_for_threads_is_nothing_to_coroutines(rig: Rig, eventually: Eventually) -> None:
    """Behind thousands of more urgent calls that all threads are busy with, coroutines run.

    In their queue and in another one, sent before and meanwhile, in any priority.
    """
    tasks = rig.tasks(TASKS)
    tasks.app.send_many(tasks.long.using(priority=9).call() for _ in range(3000))
    before = [tasks.short.using(priority=0).send(i) for i in range(50)]
    rig.worker("--threads", "2")
    eventually(lambda: rig.marks() == ["long"] * 2)
    assert results(before, 3) == list(range(50))
    meanwhile = [tasks.short.using(priority=0, queue=f"q{i % 3}").send(i) for i in range(50)]
    assert results(meanwhile, 3) == list(range(50))
    assert rig.marks() == ["long"] * 2
    assert sum(row.attempt for row in rig.rows()) == 102


def test_a_due_time_is_kept_beside_full_threads(rig: Rig, eventually: Eventually) -> None:
    """A coroutine that becomes due while no thread is free starts then."""
    tasks = rig.tasks(TASKS)
    rig.worker("--threads", "1")
    tasks.app.send_many(tasks.long.call() for _ in range(3))
    eventually(lambda: rig.marks() == ["long"])
    sent = time.time()
    jobs = [tasks.late.using(delay=delay).send() for delay in (0.3, 0.8)]
    for delay, begun in zip((0.3, 0.8), results(jobs), strict=True):
        assert sent + delay <= begun + 0.001
        assert begun <= sent + delay + 1.0


def test_a_thread_that_is_free_again_gets_work(rig: Rig, eventually: Eventually) -> None:
    """While a worker waits for coroutines, what waits for threads starts as soon as one is free."""
    tasks = rig.tasks("""
        @app.task
        def nap() -> None:
            time.sleep(0.05)

        @app.task
        async def never() -> None: ...
    """)
    jobs = tasks.app.send_many(tasks.nap.call() for _ in range(40))
    worker = rig.worker("--threads", "1", ready=False)
    eventually(lambda: rig.states()["succeeded"] > 0)
    begun = time.monotonic()
    left = rig.states()["queued"]
    results(jobs)
    assert time.monotonic() - begun < 0.15 * left + 1.0
    assert worker.stop() == 0


def message_for_loops(rig: Rig, name: str) -> Job[object]:
    """Send as a program does that knew the task as a coroutine function."""
    return rig.publish(Message(id=new_id(), task=f"tasks.{name}", body=b"{}", kind="loop"))


REDEFINED = (
    TASKS
    + """
@app.task(retries=0)
def was_async() -> str:
    witness("was")
    return "was"

@app.task(retries=0)
def was_async_and_is_long() -> str:
    witness("was-long")
    hold()
    return "was long"
"""
)


def test_a_task_that_was_a_coroutine(rig: Rig) -> None:
    """What was sent for the event loop runs in a thread when the worker's code says so."""
    tasks = rig.tasks(REDEFINED)
    jobs = [message_for_loops(rig, "was_async") for _ in range(500)]
    jobs += [tasks.short.send(i) for i in range(20)]
    rig.worker("--threads", "2")
    assert results(jobs) == ["was"] * 500 + list(range(20))
    assert all((row.failures, row.losses) == (0, 0) for row in rig.rows())


def test_without_a_place_it_waits_in_the_queue(rig: Rig, eventually: Eventually) -> None:
    """When its threads are full such a call is given back uncharged, without end but not at once.

    Coroutines behind it run all the same.
    """
    tasks = rig.tasks(REDEFINED)
    displaced = [message_for_loops(rig, "was_async_and_is_long") for _ in range(40)]
    rig.worker("--threads", "2")
    eventually(lambda: rig.marks() == ["was-long"] * 2)
    job = tasks.short.send(7)
    assert job.result(8) == 7
    start, before = time.monotonic(), sum(row.attempt for row in rig.rows(displaced))
    eventually(lambda: sum(row.attempt for row in rig.rows(displaced)) >= before + 10, 5)
    assert time.monotonic() - start > 10 * DETOUR_PAUSE / 2
    rows = rig.rows(displaced)
    assert {(row.failures, row.losses) for row in rows} == {(0, 0)}
    assert all(row.attempt - row.releases == (row.state == "running") for row in rows)
    rig.open_gate()
    assert results(displaced) == ["was long"] * 40


def test_a_free_slot_is_better_than_a_place_in_line(rig: Rig, eventually: Eventually) -> None:
    """A short call never waits behind a long one in one child while another child has a slot free.

    Also after thousands of short calls, for which children are given work in advance.
    """
    tasks = rig.tasks(TASKS)
    jobs = tasks.app.send_many(tasks.quick.call(i) for i in range(4000))
    rig.worker("--children", "2", "--threads", "2")
    assert results(jobs, 20) == list(range(4000))
    for running in range(1, 4):
        tasks.long.send()
        eventually(lambda: rig.marks() == ["long"] * running)  # noqa: B023  it is called at once
        jobs = [tasks.quick.send(i) for i in range(30)]
        assert results(jobs, 5) == list(range(30))
    rig.open_gate()
    eventually(rig.settled)


def test_what_stands_behind_a_long_call_is_taken_back(rig: Rig, eventually: Eventually) -> None:
    """A short call that was given to a child in advance goes to another child that has a slot free.

    Also while the first child is not still: its coroutines end all the time.
    """
    tasks = rig.tasks(
        TASKS
        + """
@app.task(retries=0)
def wait(name: str) -> None:
    witness(name)
    hold(name)

@app.task(retries=0)
async def busy() -> None:
    await asyncio.sleep(0.02)
    if not gate():
        busy.send()
"""
    )
    rig.worker("--children", "2", "--threads", "1")
    for _ in range(10):
        tasks.busy.send()
    for round_ in range(3):
        # Both threads are taken, and one is free again: the other's child may hold short calls.
        jobs = tasks.app.send_many(tasks.quick.call(i) for i in range(200))
        for name in (f"a{round_}", f"b{round_}"):
            tasks.wait.send(name)
        jobs += tasks.app.send_many(tasks.quick.call(i) for i in range(200))
        eventually(lambda: rig.marks()[-1:] in ([f"a{round_}"], [f"b{round_}"]))  # noqa: B023
        rig.open_gate(f"a{round_}")
        assert results(jobs, 8) == [*range(200), *range(200)]
        rig.open_gate(f"b{round_}")
    rig.open_gate()
    eventually(rig.settled)
