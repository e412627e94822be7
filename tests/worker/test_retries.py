"""Failures are tried again as the task says, and a time limit stops only the call it is for."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway import TaskFailed
from ropeway.results import Job
from tests.conftest import Eventually
from tests.worker.rig import Rig, Row, results


def failure(job: Job[Any], timeout: float = 10) -> TaskFailed:
    """Wait for a job that fails."""
    with pytest.raises(TaskFailed) as caught:
        job.result(timeout)
    return caught.value


def counters(row: Row) -> tuple[str, int, int, int, int]:
    """The state of a job and all its counters."""
    return (row.state, row.attempt, row.failures, row.losses, row.releases)


FLAKY = """
def fail(times: int) -> int:
    witness()
    if current.attempt <= times:
        raise ValueError(f"run {current.attempt}")
    return current.attempt

quick = RetryPolicy(retries=3, base=0.1)

@app.task(retries=quick)
def flaky(times: int) -> int:
    return fail(times)

@app.task(retries=quick)
async def aflaky(times: int) -> int:
    return fail(times)

@app.task(retries=RetryPolicy(retries=2, base=0.2, jitter=False))
def steady(times: int) -> float:
    with open(os.path.join(os.environ["RIG"], "when"), "a") as file:
        file.write(f"{time.monotonic()}\\n")
    return fail(times)
"""


def test_a_failed_call_is_tried_again(rig: Rig) -> None:
    """Two failures, then a result; a call that always fails is run once more than `retries`."""
    tasks = rig.tasks(FLAKY)
    rig.worker()
    twice = [tasks.flaky.send(2), tasks.aflaky.send(2)]
    always = [tasks.flaky.send(99), tasks.aflaky.send(99)]
    assert results(twice) == [3, 3]
    for job in always:
        error = failure(job)
        assert error.type == "ValueError"
        assert "run 4" in str(error)
        assert "raise ValueError" in error.traceback
    assert {counters(row) for row in rig.rows(twice)} == {("succeeded", 3, 2, 0, 0)}
    assert {counters(row) for row in rig.rows(always)} == {("failed", 4, 4, 0, 0)}
    assert rig.times_run() == {job.id: 3 for job in twice} | {job.id: 4 for job in always}


def test_the_delay_doubles(rig: Rig) -> None:
    """Without jitter the waits before the retries are the base, and twice the base."""
    tasks = rig.tasks(FLAKY)
    rig.worker()
    assert tasks.steady.send(2).result(10) == 3
    first, second, third = map(float, rig.folder.joinpath("when").read_text().split())
    assert 0.2 <= second - first < 0.4
    assert 0.4 <= third - second < 0.7


RULES = """
class Hopeless(Exception): ...
class WorseThanHopeless(Hopeless): ...

@app.task(retries=0)
async def never() -> None:
    raise ValueError("once")

@app.task(retries=5, dont_retry_on=(Hopeless,))
def hopeless() -> None:
    raise WorseThanHopeless("give up")

@app.task(retries=1)
async def later(after: float) -> int:
    if current.attempt == 1:
        raise Retry("not yet", after=after)
    return current.attempt

@app.task(retries=2)
async def later_always() -> int:
    raise Retry("never yet", after=0)
"""


def test_no_retries_and_hopeless_errors(rig: Rig) -> None:
    """`retries=0` and a subclass of `dont_retry_on` fail at the first run."""
    tasks = rig.tasks(RULES)
    rig.worker()
    never, hopeless = tasks.never.send(), tasks.hopeless.send()
    assert "once" in str(failure(never))
    assert failure(hopeless).type == "tasks.WorseThanHopeless"
    assert counters(rig.row(never)) == ("failed", 1, 1, 0, 0)
    assert counters(rig.row(hopeless)) == ("failed", 1, 1, 0, 0)


def test_a_task_can_say_when(rig: Rig) -> None:
    """`Retry(after=...)` sets the delay; it counts as a failure, so it comes to an end."""
    tasks = rig.tasks(RULES)
    rig.worker()
    soon, always = tasks.later.send(0.4), tasks.later_always.send()
    assert soon.result(5) == 2
    row = rig.row(soon)
    assert row.due - row.enqueued >= 0.4
    assert counters(row) == ("succeeded", 2, 1, 0, 0)
    assert "never yet" in str(failure(always))
    assert counters(rig.row(always)) == ("failed", 3, 3, 0, 0)


def test_a_wrong_delay_harms_only_its_own_job(rig: Rig, eventually: Eventually) -> None:
    """`after` may be a text, a date or nonsense: the call is tried again or fails, no other is hurt."""
    tasks = rig.tasks("""
        from datetime import timedelta

        WRONG = ["1s", "soon", float("nan"), float("inf"), -5, 10**400, True, timedelta(1), [], "x" * 9]

        @app.task(retries=RetryPolicy(retries=1, base=0.05))
        def wrong(i: int) -> int:
            witness()
            if current.attempt == 1:
                raise Retry("again", after=WRONG[i])
            return current.attempt

        @app.task
        def neighbour() -> str:
            witness("neighbour")
            hold()
            return "ok"
    """)
    worker = rig.worker("--threads", "20")
    neighbours = [tasks.neighbour.send() for _ in range(5)]
    eventually(lambda: len(rig.executions()) == 5)
    children = worker.children
    jobs = [tasks.wrong.send(i) for i in range(len(tasks.WRONG))]
    eventually(lambda: {row.failures for row in rig.rows(jobs)} == {1})
    assert worker.children == children
    rig.open_gate()
    assert results(neighbours) == ["ok"] * 5
    assert {counters(row) for row in rig.rows(neighbours)} == {("succeeded", 1, 0, 0, 0)}
    eventually(lambda: {row.state for row in rig.rows(jobs)} == {"succeeded"})
    assert {counters(row) for row in rig.rows(jobs)} == {("succeeded", 2, 1, 0, 0)}


LIMITS = """
brief = RetryPolicy(retries=1, base=0.05)

@app.task(timeout=0.2, retries=brief)
async def aslow() -> None:
    witness()
    await asyncio.sleep(60)

@app.task(timeout="200ms", retries=brief)
def slow() -> None:
    witness()
    while True:
        time.sleep(0.01)

@app.task(timeout=0.2, retries=0)
def late() -> str:
    try:
        while True:
            time.sleep(0.01)
    except TimeLimit:
        return "tidied up"

@app.task(timeout=0.2, retries=0)
async def alate() -> str:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return "tidied up"

@app.task(timeout=0.2, retries=0)
async def stubborn() -> str:
    for _ in range(5):
        try:
            await asyncio.sleep(0.1)
        except BaseException:
            pass
    return "did not listen"

@app.task
def fine(x: int) -> int:
    time.sleep(0.05)
    return x
"""


def test_a_call_over_its_limit_is_stopped(rig: Rig) -> None:
    """It is stopped at its limit, tried again, and fails for good; its slot works afterwards."""
    tasks = rig.tasks(LIMITS)
    rig.worker("--threads", "1", "--loop-slots", "1")
    jobs = [tasks.slow.send(), tasks.aslow.send()]
    for job in jobs:
        error = failure(job)
        assert error.type == "TimeLimit"
        assert "0.2" in str(error)
        assert counters(rig.row(job)) == ("failed", 2, 2, 0, 0)
    assert results([tasks.fine.send(i) for i in range(10)]) == list(range(10))


def test_a_call_may_answer_its_limit(rig: Rig) -> None:
    """A task that catches the limit may still return; one that ignores it is left to end."""
    tasks = rig.tasks(LIMITS)
    rig.worker("--threads", "1", "--loop-slots", "1")
    jobs = [tasks.late.send(), tasks.alate.send(), tasks.stubborn.send()]
    assert results(jobs) == ["tidied up", "tidied up", "did not listen"]


def test_a_limit_is_not_handed_on(rig: Rig) -> None:
    """A call that ended before its limit leaves nothing that could stop a later one."""
    tasks = rig.tasks("""
        @app.task(timeout=0.5, retries=0)
        def most_of_it(x: int) -> int:
            time.sleep(0.35)
            return x

        @app.task(timeout=0.3, retries=0)
        def short() -> None:
            pass

        @app.task(retries=0)
        def unlimited(x: int) -> int:
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                time.sleep(0.01)
            return x
    """)
    rig.worker("--threads", "1", "--loop-slots", "1")
    jobs = [tasks.most_of_it.send(i) for i in range(3)]
    assert results(jobs) == list(range(3))
    short, unlimited = tasks.short.send(), tasks.unlimited.send(7)
    assert short.result(5) is None
    assert unlimited.result(5) == 7


def test_calls_that_end_at_their_limit(rig: Rig, eventually: Eventually) -> None:
    """Of 300 calls that end at the very moment of their limit none harms the next one.

    Each is either done or over its limit; whoever follows in the same thread returns its result.
    """
    tasks = rig.tasks("""
        @app.task(timeout=0.006, retries=0)
        def edge(extra: float) -> str:
            end = time.monotonic() + 0.0056 + extra
            while time.monotonic() < end:
                pass
            return "done"

        @app.task(retries=0)
        def next_(x: int) -> int:
            for i in range(200):
                x += 1
            return x
    """)
    calls = []
    for i in range(300):
        calls += [tasks.edge.call(i % 30 * 0.00003), tasks.next_.call(i)]
    jobs = tasks.app.send_many(calls)
    rig.worker("--threads", "2", "--loop-slots", "1")
    eventually(rig.settled, 13)
    assert results(jobs[1::2], 2) == [i + 200 for i in range(300)]
    ends = [rig.record(job) for job in jobs[::2]]
    assert {(each.state, each.error and each.error.type) for each in ends} <= {
        ("succeeded", None),
        ("failed", "TimeLimit"),
    }
    assert all(each.attempt == 1 + each.releases for each in ends)
