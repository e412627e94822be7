"""One live job for one purpose: what a second send finds, and who wins when many send at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from functools import partial
from typing import Any

import pytest

from ropeway import Job, Unique
from ropeway.errors import BadArguments, NotUnique, TaskFailed
from ropeway.stepping import step
from ropeway.transition import Cancel, Transition
from tests.conftest import Eventually
from tests.worker.rig import Rig, until

TASKS = """
@app.task(unique=True)
def report(day: str, pages: int = 1, **more: int) -> str:
    witness(day)
    hold()
    return day

@app.task(retries=0)
def fail() -> None:
    raise ValueError

@app.task
def quick(x: int) -> int:
    return x
"""


def _other_than(sender: Any, job: Job[Any]) -> bool:
    return bool(sender.send(1) != job)


def count(rig: Rig) -> int:
    """How many jobs the database has."""
    return int(rig.sql("select count(*) from job")[0][0])


def test_a_second_send_returns_the_first_job(rig: Rig) -> None:
    """Calls with equal arguments are one job, however they are written; others are others."""
    tasks = rig.tasks(TASKS)
    first = tasks.report.send("monday", a=1, b=2)
    same = [
        tasks.report.send(day="monday", b=2, a=1),
        tasks.report.send("monday", 1, a=1, b=2),
        tasks.report.using(priority=9, tags=["x"]).send("monday", pages=1, a=1, b=2),
    ]
    others = [
        tasks.report.send("monday"),
        tasks.report.send("tuesday", a=1, b=2),
        tasks.report.using(unique=False).send("monday", a=1, b=2),
        tasks.quick.using(unique=Unique(key="k")).send(1),
    ]
    assert same == [first] * 3
    assert len({job.id for job in [first, *others]}) == 5
    assert tasks.quick.using(unique=Unique(key="k")).send(2) == others[-1]
    assert count(rig) == 5


def test_many_of_one_purpose_in_one_batch(rig: Rig) -> None:
    """`send_many` keeps the order of its jobs, with one of each purpose and the plain between."""
    tasks = rig.tasks(TASKS)
    report, quick = tasks.report, tasks.quick
    calls = [c for _ in range(3) for c in (report.call("a"), quick.call(1), report.call("b"))]
    jobs = tasks.app.send_many(calls)
    assert jobs[0] == jobs[3] == jobs[6]
    assert jobs[2] == jobs[5] == jobs[8] != jobs[0]
    assert len(set(jobs)) == 5
    assert [rig.record(job).message.task for job in jobs] == [call.message.task for call in calls]


def test_refused(rig: Rig) -> None:
    """With "refuse" the error names the job that is there, and nothing is sent."""
    tasks = rig.tasks(TASKS)
    only = tasks.quick.using(unique=Unique(conflict="refuse"))
    job = only.send(1)
    with pytest.raises(NotUnique, match=job.id) as caught:
        only.send(1)
    assert caught.value.job_id == job.id
    assert "queued" in caught.value.fact
    assert count(rig) == 1


def test_replaced(rig: Rig, eventually: Eventually) -> None:
    """With "replace" the job that waits has the new arguments and dates; a running one stays."""
    tasks = rig.tasks(TASKS)
    only = tasks.report.using(unique=Unique(key="daily", conflict="replace"))
    job = only.using(delay=60).send("monday")
    assert only.using(delay=90, priority=8, queue="other").send("tuesday", 2) == job
    record = rig.record(job)
    assert record.message.body == b'{"day":"tuesday","pages":2}'
    assert (record.message.band, record.message.queue) == (8, "other")
    assert record.due - time.time() == pytest.approx(90, abs=5)
    only.send("wednesday")
    rig.worker()
    eventually(lambda: rig.marks() == ["wednesday"])
    with pytest.raises(NotUnique, match="running"):
        only.send("thursday")
    rig.open_gate()
    assert job.result(10) == "wednesday"
    assert only.send("friday") != job


def test_while_it_waits(rig: Rig, eventually: Eventually) -> None:
    """With `until="started"` one runs and one waits, and no third is sent."""
    tasks = rig.tasks(TASKS)
    only = tasks.report.using(unique=Unique(until="started"))
    first = only.send("a")
    assert only.send("a") == first
    rig.worker()
    eventually(lambda: rig.marks() == ["a"])
    rig.workers[0].freeze()
    second = only.send("a")
    assert second != first
    assert only.send("a") == second
    rig.workers[0].thaw()
    rig.open_gate()
    assert [job.result(10) for job in (first, second)] == ["a", "a"]


def test_for_a_while_after_success(rig: Rig, eventually: Eventually) -> None:
    """A window holds after success alone, also when no record of the job is kept."""
    tasks = rig.tasks(TASKS)
    rig.worker()
    for options in ({}, {"store": False}):
        only = tasks.quick.using(unique=Unique(key=str(options), window=3), **options)
        start = time.monotonic()
        job = only.send(1)
        eventually(rig.settled)
        assert only.send(1) == job
        with pytest.raises(NotUnique, match="succeeded"):
            only.using(
                unique=Unique(key=str(options), window=3, conflict="refuse"), **options
            ).send(1)
        until(partial(_other_than, only, job))
        assert time.monotonic() - start >= 3
    failing = tasks.fail.using(unique="1h")
    failed = failing.send()
    with pytest.raises(TaskFailed):
        failed.result(10)
    assert failing.send() != failed


def test_however_it_ends(rig: Rig) -> None:
    """A job that was cancelled, or whose record is gone, holds nothing any more."""
    tasks = rig.tasks(TASKS)
    only = tasks.quick.using(unique=True)
    backend = tasks.app.connection.blocking()
    first = only.send(1)
    step(backend.commit([Transition(cancel=(Cancel(first.id),))]))
    second = only.send(1)
    assert second != first
    assert only.send(1) == second
    rig.sql("delete from job where id = ?", second.id)
    third = only.send(1)
    assert third not in {first, second}
    assert only.send(1) == third


def test_the_same_call_again(rig: Rig) -> None:
    """A `Call` whose reply was lost is sent again: it is the job that is there."""
    tasks = rig.tasks(TASKS)
    call = tasks.quick.using(unique=Unique(conflict="refuse")).call(1)
    (one,) = tasks.app.send_many([call])
    (same,) = tasks.app.send_many([call])
    assert one == same
    assert one.id == call.message.id
    assert count(rig) == 1


@pytest.mark.parametrize(
    "fields", [{"until": "ever"}, {"conflict": "fight"}, {"window": "soon"}, {"key": 5}]
)
def test_what_cannot_be(fields: dict[str, Any]) -> None:
    """A wrong field is refused where it is written."""
    with pytest.raises(BadArguments):
        Unique(**fields)


async def test_many_at_once_on_one_loop(rig: Rig) -> None:
    """Of a hundred sends at the same time one is sent, and all return it."""
    tasks = rig.tasks(TASKS)
    jobs = await asyncio.gather(*(tasks.report.asend("a") for _ in range(100)))
    assert len(set(jobs)) == 1
    assert count(rig) == 1
    await tasks.app.aclose()


def test_many_at_once_from_processes(rig: Rig) -> None:
    """Of the sends of four processes in a row one is there at a time, and none is lost."""
    tasks = rig.tasks(TASKS)
    program = (
        "import tasks\nfor n in range(200): print(tasks.quick.using(unique=True).send(n % 5).id)"
    )
    command = [sys.executable, "-c", program]
    senders = [
        subprocess.Popen(command, cwd=rig.folder, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    told = {line for each in senders for line in each.communicate(timeout=50)[0].split()}
    assert [each.returncode for each in senders] == [0] * 4
    assert len(told) == 5
    assert count(rig) == 5
    assert {rig.record(tasks.app.job(each)).message.id for each in told} == told
