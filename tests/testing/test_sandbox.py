"""An app in a sandbox: what runs, when, and what a test can see of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ropeway import RetryPolicy, Ropeway, State, TaskFailed, current
from ropeway.errors import BlockingCall, JobNotFound, ResultTimeout, Stuck
from ropeway.pauses import pause, resume
from ropeway.stepping import step
from ropeway.testing.sandbox import Sandbox

DAILY = RetryPolicy(retries=5, base=3600.0, cap=86_400.0, jitter=False)


class Tasks:
    """An app with a task of each kind."""

    def __init__(self) -> None:
        self.app = app = Ropeway("memory://")
        self.ran: list[str] = []
        ran = self.ran.append

        @app.task(name="add", retries=0)
        async def add(x: int, y: int = 1) -> int:
            ran("add")
            return x + y

        @app.task(name="plain", retries=0)
        def plain(word: str) -> str:
            ran(word)
            return word

        @app.task(name="flaky", retries=DAILY)
        def flaky(times: int) -> int:
            if current.attempt <= times:
                raise ValueError(f"run {current.attempt}")
            return current.attempt

        @app.task(name="outer", retries=0)
        def outer() -> int:
            return add.send(1).result(timeout=10) + 1

        @app.task(name="outermost", retries=0)
        async def outermost() -> int:
            return await (await outer.asend()).aresult(timeout=10) + 1

        self.add, self.plain, self.flaky = add, plain, flaky
        self.outer, self.outermost = outer, outermost


@pytest.fixture
def tasks() -> Tasks:
    """Return an app with a task of each kind."""
    return Tasks()


@pytest.fixture
def sandbox(tasks: Tasks) -> Iterator[Sandbox]:
    """Return that app's sandbox."""
    with tasks.app.testing() as sandbox:
        yield sandbox


# --- running ------------------------------------------------------------------------------


def test_nothing_runs_by_itself(tasks: Tasks, sandbox: Sandbox) -> None:
    """A call waits until the test runs it; then all that is due runs, in the order of sending."""
    jobs = [tasks.plain.send(word) for word in ("a", "b", "c")]
    assert tasks.ran == []
    assert jobs[0].status() == State.QUEUED
    assert sandbox.run() == jobs
    assert tasks.ran == ["a", "b", "c"]
    assert [job.result(timeout=0) for job in jobs] == ["a", "b", "c"]
    assert sandbox.run() == []


def test_one_at_a_time(tasks: Tasks, sandbox: Sandbox) -> None:
    """`run_one` runs one attempt, whatever else is due."""
    first, second = tasks.plain.send("a"), tasks.plain.send("b")
    assert sandbox.run_one() == first
    assert (first.status(), second.status()) == (State.SUCCEEDED, State.QUEUED)
    assert sandbox.run_one() == second
    assert sandbox.run_one() is None


def test_every_queue_is_served(tasks: Tasks, sandbox: Sandbox) -> None:
    """Also one that no task names, and one that is new since the last run."""
    one = tasks.plain.using(queue="elsewhere").send("a")
    assert sandbox.run() == [one]
    two = tasks.plain.using(queue="nowhere").send("b")
    assert sandbox.run() == [two]


def test_what_tasks_send_runs_too(tasks: Tasks, sandbox: Sandbox) -> None:
    """And a task that waits for another, in a thread or on the loop, lets it run."""
    assert tasks.outermost.send().result() == 4
    assert [each.task for each in sandbox.sent()] == ["outermost", "outer", "add"]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_as_many_at_once_as_asked_for(concurrency: int) -> None:
    """One, unless told otherwise."""
    app, most, running = Ropeway("memory://"), [0], [0]

    @app.task(name="count")
    async def count() -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        await asyncio.sleep(0.001)
        running[0] -= 1

    with app.testing(concurrency=concurrency) as sandbox:
        app.send_many(count.call() for _ in range(9))
        assert len(sandbox.run()) == 9
    assert most == [concurrency]


def test_an_app_is_as_before_afterwards(tasks: Tasks) -> None:
    """Its connection is swapped for the block only."""
    before = tasks.app.connection
    with tasks.app.testing():
        assert tasks.app.connection is not before
        job = tasks.add.send(1)
    assert tasks.app.connection is before
    with tasks.app.testing() as sandbox:
        assert sandbox.run() == []
        assert sandbox.history(job) == []


async def test_tasks_run_on_the_loop_of_the_test(tasks: Tasks) -> None:
    """So they can use what an async fixture has made; blocking verbs name their twins."""
    here = asyncio.get_running_loop()

    @tasks.app.task(name="where")
    async def where() -> bool:
        return asyncio.get_running_loop() is here

    async with tasks.app.testing() as sandbox:
        assert await (await where.asend()).aresult()
        with pytest.raises(BlockingCall, match=r"await sandbox\.arun"):
            sandbox.run()
        jobs = [await tasks.add.asend(x) for x in range(5)]
        assert await asyncio.gather(*(job.aresult() for job in jobs)) == [1, 2, 3, 4, 5]
        late = await tasks.add.using(delay="1h").asend(2)
        assert await sandbox.aadvance("1h") == [late]
        assert await sandbox.arun_one() is None


# --- time ---------------------------------------------------------------------------------


def test_time_stands_still(tasks: Tasks, sandbox: Sandbox) -> None:
    """A delayed call is not due before the clock is moved, and the date is the test's to choose."""
    job = tasks.plain.using(delay="1h").send("late")
    before = sandbox.now
    assert sandbox.run() == []
    assert sandbox.advance("59m") == []
    assert sandbox.advance(timedelta(minutes=1)) == [job]
    assert abs(sandbox.now - before - timedelta(hours=1)) < timedelta(milliseconds=1)
    with tasks.app.testing(start=datetime(2030, 1, 1, tzinfo=UTC)) as later:
        dated = tasks.plain.using(at=datetime(2030, 1, 2, tzinfo=UTC)).send("dated")
        assert later.advance("23h59m") == []
        assert later.advance("1m") == [dated]


def test_what_becomes_due_on_the_way_runs_in_order(tasks: Tasks, sandbox: Sandbox) -> None:
    """Each at its own time, whatever the order of sending."""
    seen: list[datetime] = []

    @tasks.app.task(name="look")
    async def look() -> None:
        seen.append(sandbox.now)

    began = sandbox.now
    for delay in ("3h", "1h", "2h"):
        look.using(delay=delay).send()
    sandbox.advance("1d")
    hours = [round((each - began).total_seconds() / 3600, 3) for each in seen]
    assert hours == [1.0, 2.0, 3.0]
    assert round((sandbox.now - began).total_seconds()) == 86_400


def test_run_all_goes_on_until_nothing_is_left(tasks: Tasks, sandbox: Sandbox) -> None:
    """Delays and retries included; a job that always sends another is stopped by `within`."""
    jobs = {tasks.plain.using(delay="20h").send("late"), tasks.flaky.send(2)}
    assert set(sandbox.run_all()) == jobs
    assert {job.status() for job in jobs} == {State.SUCCEEDED}

    @tasks.app.task(name="again")
    def again() -> None:
        again.using(delay="1h").send()

    again.send()
    assert len(sandbox.run_all(within="5h")) == 6


def test_records_go_when_their_time_is_over(tasks: Tasks, sandbox: Sandbox) -> None:
    """As from any database: a result is kept for a day."""
    job = tasks.plain.send("a")
    sandbox.advance("23h")
    assert job.result() == "a"
    sandbox.advance("2h")
    with pytest.raises(JobNotFound):
        job.status()


def test_a_day_of_retries_takes_no_time(tasks: Tasks, sandbox: Sandbox) -> None:
    """`result` does what it takes; every delay of the policy has passed on the clock."""
    tasks.plain.send("warm").result()
    began, since = sandbox.now, time.perf_counter()
    job = tasks.flaky.send(5)
    assert job.result() == 6
    assert time.perf_counter() - since < 0.5  # about 0.01; the machine may be busy
    assert sandbox.delays(job) == [3600.0, 7200.0, 14_400.0, 28_800.0, 57_600.0]
    assert (sandbox.now - began).total_seconds() == pytest.approx(111_600, abs=0.01)


def test_the_time_given_to_wait_is_on_the_same_clock(tasks: Tasks, sandbox: Sandbox) -> None:
    """What comes later than that has not come."""
    job = tasks.add.using(delay="1h").send(1)
    with pytest.raises(ResultTimeout):
        job.result(timeout=60)
    assert job.result(timeout=3600) == 2


# --- what can never be --------------------------------------------------------------------


def test_waiting_for_what_cannot_come_is_an_error(tasks: Tasks, sandbox: Sandbox) -> None:
    """And not a test that hangs: it says which job, how it stands, and what stands in its way."""
    step(pause(tasks.app.connection.blocking(), "default", by="test"))
    job = tasks.add.send(1)
    with pytest.raises(Stuck, match=rf"{job.id} \(add\) is queued.*\n.*paused: default"):
        job.result()
    step(resume(tasks.app.connection.blocking(), "default"))
    assert job.result() == 2


def test_a_result_that_is_there_is_not_waited_for(
    tasks: Tasks, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it came in the moment after the send, in which nobody looks yet."""
    monkeypatch.setattr("ropeway.results._AT_ONCE", 60.0)
    job = tasks.add.send(1)
    sandbox.run()
    assert job.result() == 2


def test_a_task_that_waits_for_ever_is_an_error(tasks: Tasks) -> None:
    """For nothing in the store, with real time, and for a job that cannot run, with the clock's."""
    gate = threading.Event()

    @tasks.app.task(name="stuck")
    def stuck() -> None:
        gate.wait()

    @tasks.app.task(name="waits")
    async def waits() -> None:
        await (await tasks.add.using(queue="closed").asend(1)).aresult()

    with tasks.app.testing(patience=0.05) as sandbox:
        stuck.send()
        with pytest.raises(Stuck, match=r"running for 0.05 s: stuck"):
            sandbox.run()
        gate.set()
    with tasks.app.testing() as sandbox:
        step(pause(tasks.app.connection.blocking(), "closed", by="test"))
        waits.send()
        with pytest.raises(Stuck, match="waits: waits for what will never come"):
            sandbox.run()


def test_a_task_that_waits_too_long_hears_it(tasks: Tasks, sandbox: Sandbox) -> None:
    """For a task in the sandbox, too, time passes while it waits."""

    @tasks.app.task(name="impatient", retries=0)
    def impatient() -> None:
        tasks.add.using(delay="1h").send(1).result(timeout=60)

    with pytest.raises(TaskFailed, match="ResultTimeout"):
        impatient.send().result()


def test_an_unknown_task_is_quarantined_as_anywhere(tasks: Tasks, sandbox: Sandbox) -> None:
    """After the grace that a rolling deploy has, which takes no real time."""
    other = Ropeway("memory://")

    @other.task(name="unheard")
    def unheard() -> None: ...

    with other.connected(tasks.app.connection):
        job = unheard.send()
        with pytest.raises(TaskFailed, match="unheard"):
            job.result()
        assert job.status() == State.QUARANTINED


# --- looking ------------------------------------------------------------------------------


def test_what_was_sent(tasks: Tasks, sandbox: Sandbox) -> None:
    """By task, with the arguments by name and the options."""
    tasks.plain.using(queue="words", priority=7, delay="5m").send("a")
    job = tasks.add.send(2, y=3)
    (word,) = sandbox.sent(tasks.plain)
    assert (word.task, word.arguments) == ("plain", {"word": "a"})
    assert (word.queue, word.priority, word.delay) == ("words", 7, 300.0)
    assert [each.task for each in sandbox.sent()] == ["plain", "add"]
    found = sandbox.assert_sent(tasks.add, 2, y=3)
    assert found.job == job
    assert found.job.result() == 5


def test_an_assertion_says_what_was_sent_instead(tasks: Tasks, sandbox: Sandbox) -> None:
    """So that the test's report is enough to see the mistake."""
    with pytest.raises(AssertionError, match=r"add was not sent with \(1\); sent at all: nothing"):
        sandbox.assert_sent(tasks.add, 1)
    sandbox.assert_not_sent(tasks.add)
    tasks.add.using(queue="sums").send(2, 3)
    with pytest.raises(AssertionError, match=r"sent to it:\n  add\(x=2, y=3\) to sums"):
        sandbox.assert_sent(tasks.add, 1)
    with pytest.raises(AssertionError, match=r"add was sent:\n  add\(x=2, y=3\) to sums"):
        sandbox.assert_not_sent(tasks.add)


def test_failures_are_shown_with_their_tracebacks(tasks: Tasks, sandbox: Sandbox) -> None:
    """A test that waits for no result does not overlook them."""
    tasks.flaky.send(2)
    sandbox.run()
    sandbox.assert_no_failures()  # it will be tried again
    tasks.flaky.send(9)
    sandbox.run_all()
    with pytest.raises(AssertionError, match=r"(?s)flaky .* failed: ValueError: run 6.*raise Val"):
        sandbox.assert_no_failures()


def test_threads_of_the_test_may_wait(tasks: Tasks, sandbox: Sandbox) -> None:
    """While one of them has the work done, the others wait for it."""
    jobs = [tasks.plain.send(str(number)) for number in range(5)]
    results: list[str] = []
    threads = [threading.Thread(target=lambda j=job: results.append(j.result())) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(results) == ["0", "1", "2", "3", "4"]
