"""Progress and watching: what a task says on its way, and whoever looks."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from ropeway.errors import (
    BadArguments,
    BlockingCall,
    JobNotFound,
    ResultTimeout,
    RopewayError,
    TaskFailed,
)
from ropeway.progress import Progress, checked, progress_key
from ropeway.results import Job
from ropeway.snapshot import Snapshot
from tests.conftest import Eventually
from tests.worker.rig import Rig, results

TASKS = """
@app.task
def count(n: int) -> int:
    for i in range(n):
        current.progress(i + 1, of=n, note=f"step {i}")
    return n

@app.task
async def acount(n: int) -> int:
    for i in range(n):
        current.progress(i + 1, of=n, note=f"step {i}")
    return n

@app.task
def held(n: int) -> None:
    current.progress(n)
    witness()
    hold()
    current.progress(n + 1, note="held")

@app.task(retries=RetryPolicy(retries=1, base=0.01))
def flaky() -> None:
    if current.attempt == 1:
        current.progress(1, note="first")
        raise ValueError
    hold()

@app.task(ack="early")
def once() -> None:
    current.progress(1, note="once")

@app.task(store=False)
def unkept() -> None:
    current.progress(1)
    witness()
    hold()

@app.task
def about() -> dict:
    return {
        "queue": current.queue,
        "key": current.key,
        "tags": list(current.tags),
        "headers": dict(current.headers),
    }

@app.task
async def aabout() -> list:
    return [current.queue, current.key, list(current.tags), dict(current.headers)]
"""


def progress_of(job: Job[Any]) -> Progress | None:
    """What the job's snapshot says of its progress."""
    return job.snapshot().progress


def test_the_last_report_comes_with_the_end(rig: Rig) -> None:
    """Of thousands of reports few are written, and the last is there when the result is."""
    tasks = rig.tasks(TASKS)
    rig.worker()
    for task in (tasks.count, tasks.acount):
        job = task.send(20_000)
        assert job.result(20) == 20_000
        assert progress_of(job) == Progress(20_000, 20_000, "step 19999", 1)
        versions = rig.sql("select version from record where key = ?", progress_key(job.id))
        assert versions[0][0] < 50
    assert rig.sql("select count(*) from record where key like 'progress/%'") == [(2,)]


def test_a_report_is_seen_while_the_job_runs(rig: Rig, eventually: Eventually) -> None:
    """The one report of a long task arrives; with the end comes the last, kept with the record."""
    tasks = rig.tasks(TASKS)
    rig.worker()
    job = tasks.held.using(keep=5).send(7)
    assert eventually(lambda: progress_of(job)) == Progress(7, None, "", 1)
    rig.open_gate()
    job.result(10)
    assert progress_of(job) == Progress(8, None, "held", 1)
    kept = "select round(expires - unixepoch('subsec')) from record where key like 'progress/%'"
    assert 2 <= rig.sql(kept)[0][0] <= 5


def test_a_retry_keeps_the_report_until_the_next(rig: Rig, eventually: Eventually) -> None:
    """What the attempt that failed said stays, under its number."""
    tasks = rig.tasks(TASKS)
    rig.worker()
    job = tasks.flaky.send()
    eventually(lambda: job.snapshot().attempt == 2)
    assert progress_of(job) == Progress(1, None, "first", 1)
    rig.open_gate()
    job.result(10)


def test_an_attempt_that_lost_its_lease_says_nothing(rig: Rig, eventually: Eventually) -> None:
    """A worker that slept through its lease does not overwrite what the next one says."""
    tasks = rig.tasks(TASKS)
    first = rig.worker()
    job = tasks.held.send(1)
    eventually(lambda: progress_of(job))
    first.freeze()
    rig.worker()
    eventually(lambda: (p := progress_of(job)) is not None and p.attempt == 2, 15)
    first.thaw()
    rig.open_gate()
    job.result(10)
    assert progress_of(job) == Progress(2, None, "held", 2)


def test_without_a_record(rig: Rig, eventually: Eventually) -> None:
    """What a job without a record said goes with it; one that is settled early can say it too."""
    rig.needs_record()
    tasks = rig.tasks(TASKS)
    rig.worker()
    once, unkept = tasks.once.send(), tasks.unkept.send()
    eventually(lambda: progress_of(once) == Progress(1, None, "once", 1))
    eventually(lambda: progress_of(unkept))
    rig.open_gate()
    with pytest.raises(JobNotFound):
        unkept.result(10)
    assert rig.sql("select key from record where key like 'progress/%'") == [
        (progress_key(once.id),)
    ]


@pytest.mark.parametrize(
    ("done", "of"), [("1", None), (float("nan"), None), (1, float("inf")), (None, 1), (1, "2")]
)
def test_what_is_no_progress(done: Any, of: Any) -> None:
    """What is no number is refused where it is said."""
    with pytest.raises(BadArguments):
        checked(done, of, "", 1)


def test_a_report_is_bounded_text() -> None:
    """A note is cut, and made text that can be written."""
    assert len(checked(1, 2, "x" * 10_000, 1).note) == 500
    assert checked(1, 2, "\ud800", 1).note == "?"
    assert checked(1, 4, "", 1).fraction == 0.25
    assert checked(1, 0, "", 1).fraction is None


def test_what_a_task_knows_of_itself(rig: Rig) -> None:
    """Queue, key, tags and headers are in `current`; outside of a task it raises."""
    tasks = rig.tasks(TASKS)
    rig.worker()
    using = {"queue": "q", "key": "k", "tags": ["a", "b"], "headers": {"tenant": "ü"}}
    jobs = [tasks.about.using(**using).send(), tasks.aabout.using(**using).send()]
    plain = tasks.about.send()
    assert results(jobs) == [using, ["q", "k", ["a", "b"], {"tenant": "ü"}]]
    assert plain.result(10) == {"queue": "default", "key": None, "tags": [], "headers": {}}
    with pytest.raises(RopewayError):
        tasks.current.progress(1)


# -- watching -----------------------------------------------------------------------------


def test_watching_from_a_thread(rig: Rig, eventually: Eventually) -> None:
    """Every state is seen in its order, each report as it comes, and the end ends it."""
    rig.needs_record()
    tasks = rig.tasks(TASKS)
    job = tasks.held.send(3)
    seen: list[Snapshot] = []

    def look() -> None:
        for each in job.watch(timeout=20):
            seen.append(each)  # noqa: PERF402  one by one, as they come

    watching = threading.Thread(target=look)
    watching.start()
    eventually(lambda: [each.state for each in seen] == ["queued"])
    rig.worker()
    eventually(lambda: seen[-1].progress == Progress(3, None, "", 1))
    assert seen[-1].state == "running"
    rig.open_gate()
    watching.join(10)
    assert not watching.is_alive()
    assert seen[-1].state == "succeeded"
    assert seen[-1].progress == Progress(4, None, "held", 1)


async def test_watching_on_a_loop(rig: Rig) -> None:
    """`awatch` does the same; a wait that does not end raises at its time."""
    rig.needs_record()
    tasks = rig.tasks(TASKS)
    job = await tasks.count.asend(3)
    with pytest.raises(ResultTimeout, match="queued"):
        _ = [each async for each in job.awatch(timeout=0.1)]
    with pytest.raises(BlockingCall, match="awatch"):
        next(job.watch())
    with pytest.raises(JobNotFound):
        _ = [each async for each in tasks.app.job("nothing").awatch(1)]
    watch = job.awatch(timeout=20)
    seen = [await anext(watch)]
    await asyncio.to_thread(rig.worker)
    seen += [each async for each in watch]
    assert (seen[0].state, seen[-1].state) == ("queued", "succeeded")
    assert seen[-1].progress is not None
    await tasks.app.aclose()


def test_watching_costs_nothing_while_nothing_happens(rig: Rig) -> None:
    """A watch of a job that waits uses next to no processor: it listens, and does not poll."""
    tasks = rig.tasks(TASKS)
    job = tasks.count.using(delay=600).send(1)
    start = time.process_time()
    with pytest.raises(ResultTimeout):
        list(job.watch(timeout=2))
    assert time.process_time() - start < 0.2


def test_a_snapshot(rig: Rig) -> None:
    """It has the counters, the dates, the derived view and the error; typed, in one look."""
    tasks = rig.tasks(TASKS)
    later = tasks.count.using(delay=60, tags=["t"], headers={"a": "b"}, key="k").send(1)
    found = later.snapshot()
    assert (found.state, found.view, found.attempt) == ("queued", "scheduled", 0)
    assert (found.key, found.tags, found.headers) == ("k", ("t",), {"a": "b"})
    assert found.due - found.enqueued == pytest.approx(60)
    rig.worker()
    failed = tasks.count.using(retries=0, timeout="100ms").send(10**9)
    with pytest.raises(TaskFailed):
        failed.result(10)
    found = failed.snapshot()
    assert (found.view, found.failures, found.task) == ("failed", 1, "tasks.count")
    assert found.error is not None
    assert found.error.type == "TimeLimit"
    assert found.started is not None
    assert found.finished is not None
    assert found.started <= found.finished


# -- waiting inside a task ----------------------------------------------------------------

NESTED = """
@app.task
def leaf(n: int) -> int:
    return n

@app.task(retries=RetryPolicy(retries=50, base=0.05, cap=0.3))
def parent(n: int) -> int:
    witness("parent")
    return leaf.send(n).result(30) + 1

@app.task(retries=0)
def alone() -> int:
    return leaf.send(1).result(5)

@app.task(retries=0)
def patient() -> int:
    job = leaf.send(1)
    while job.status() != "succeeded":
        time.sleep(0.01)
    return job.result()

@app.task
async def aparent(n: int) -> int:
    jobs = [await leaf.asend(n) for _ in range(3)]
    return sum(await asyncio.gather(*(job.aresult(30) for job in jobs)))
"""


def test_tasks_that_wait_for_tasks_do_not_stop_a_worker(rig: Rig) -> None:
    """One slot of a kind never waits, so what all the others wait for gets done."""
    tasks = rig.tasks(NESTED)
    rig.worker("--threads", "3")
    jobs = [tasks.parent.send(n) for n in range(12)]
    assert results(jobs, 40) == [n + 1 for n in range(12)]


def test_the_last_slot_may_not_wait(rig: Rig) -> None:
    """With one slot a wait inside a task is refused with the reason; a result that is there is not."""
    rig.needs_record()
    tasks = rig.tasks(NESTED)
    rig.worker("--threads", "1")
    with pytest.raises(TaskFailed, match="0 of the 1 slots"):
        tasks.alone.send().result(10)
    assert tasks.aparent.send(2).result(10) == 6
    rig.worker("--threads", "1")
    assert tasks.patient.send().result(10) == 1


# -- the command line ---------------------------------------------------------------------


def command(rig: Rig, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `ropeway` in the rig's folder."""
    return subprocess.run(
        [sys.executable, "-m", "ropeway", *words],
        cwd=rig.folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )


def test_followed_and_shown(rig: Rig) -> None:
    """`run --follow` tells of reports as they come; `jobs show` has the last, and what was sent."""
    rig.needs_record()
    tasks = rig.tasks(TASKS)
    rig.worker()
    rig.open_gate()
    done = command(rig, "run", "held", "41", "--follow")
    assert done.stdout == "null\n"
    assert "42: held" in done.stderr
    assert done.stderr.split("\n")[0].startswith("job ")
    using = {"key": "k", "tags": ["a", "b"], "headers": {"tenant": "x"}, "limits": ["none"]}
    job = tasks.count.using(**using).send(4)
    job.result(10)
    page = command(rig, "jobs", "show", job.id).stdout
    for line in (
        "progress  4 of 4 (100%): step 3",
        "key       k",
        "limits    none",
        "tags      a, b",
        "headers   tenant=x",
    ):
        assert line in page
    whole = json.loads(command(rig, "jobs", "show", job.id, "--json").stdout)
    assert whole["progress"] == {"done": 4, "of": 4, "note": "step 3", "attempt": 1}
    assert {name: whole[name] for name in using} == using
