"""A worker inside the process: the same promises, as far as one process can keep them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ropeway import RetryPolicy, Ropeway, TaskFailed, current
from ropeway.backends.memory.backend import MemoryBackend
from ropeway.claims import Claim
from ropeway.results import Job
from ropeway.stepping import step
from ropeway.transition import Answer, Transition
from ropeway.worker import alone, local
from tests.conftest import AsyncEventually


@pytest.fixture(params=["sqlite", "memory"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Ropeway:
    """Return an app on each backend."""
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'jobs.db'}"
    return Ropeway(url, lease=1, grace=5)


async def test_calls_run_on_this_loop_and_in_threads(app: Ropeway) -> None:
    """Both kinds run in this very process; coroutine functions on this very loop."""
    here = asyncio.get_running_loop()

    @app.task(name="where")
    async def where() -> list[int]:
        assert asyncio.get_running_loop() is here
        return [os.getpid(), threading.get_ident()]

    @app.task(name="where_plain")
    def where_plain() -> list[int]:
        return [os.getpid(), threading.get_ident()]

    async with app.worker():
        jobs = await where.asend(), await where_plain.asend()
        pid, thread = await jobs[0].aresult(10)
        assert (pid, thread) == (os.getpid(), threading.get_ident())
        pid, thread = await jobs[1].aresult(10)
        assert pid == os.getpid()
        assert thread != threading.get_ident()
    await app.aclose()


async def test_a_task_sends_and_waits_for_another(app: Ropeway) -> None:
    """From its thread and from the loop."""

    @app.task(name="one")
    def one() -> int:
        return 1

    @app.task(name="plain")
    def plain() -> int:
        return one.send().result(10) + 1

    @app.task(name="asynchronous")
    async def asynchronous() -> int:
        return await (await plain.asend()).aresult(10) + 1

    async with app.worker():
        assert await (await asynchronous.asend()).aresult(10) == 3
    await app.aclose()


async def test_failures_are_retried(app: Ropeway) -> None:
    """As a worker of its own would."""

    @app.task(name="flaky", retries=RetryPolicy(retries=2, base=0.01))
    async def flaky(times: int) -> int:
        if current.attempt <= times:
            raise ValueError("again")
        return current.attempt

    async with app.worker():
        good, bad = await flaky.asend(2), await flaky.asend(9)
        assert await good.aresult(10) == 3
        with pytest.raises(TaskFailed, match="again"):
            await bad.aresult(10)
        assert (await bad.arecord()).failures == 3
    await app.aclose()


async def test_what_comes_back_before_its_release_is_answered_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A retry that this worker claims again at once is run, and not given back again and again."""
    app, commit = Ropeway("memory://"), MemoryBackend.commit

    async def late(self: MemoryBackend, transitions: Sequence[Transition]) -> list[Answer]:
        answers = await commit(self, transitions)
        await asyncio.sleep(0.02)
        return answers

    @app.task(name="flaky", retries=RetryPolicy(retries=2, base=0.0))
    async def flaky() -> int:
        if current.attempt == 1:
            raise ValueError("again")
        return current.attempt

    monkeypatch.setattr(MemoryBackend, "commit", late)
    async with app.worker():
        job = await flaky.asend()
        assert await job.aresult(10) == 2
        assert (await job.arecord()).releases == 0
    await app.aclose()


async def test_what_runs_at_the_end_may_finish(app: Ropeway) -> None:
    """Leaving the block waits for it; what has not started stays queued."""
    started, gate = asyncio.Event(), asyncio.Event()

    @app.task(name="slow")
    async def slow() -> str:
        started.set()
        await gate.wait()
        return "done"

    async with app.worker(loop_slots=1):
        job = await slow.asend()
        await started.wait()
        asyncio.get_running_loop().call_later(0.05, gate.set)
    assert await job.aresult(0) == "done"
    assert (await job.arecord()).attempt == 1
    left = await slow.asend()
    assert await left.astatus() == "queued"
    await app.aclose()


async def test_a_stop_now_gives_back_what_runs(app: Ropeway) -> None:
    """It is interrupted, and counted as a release."""
    started = asyncio.Event()

    @app.task(name="endless")
    async def endless() -> None:
        started.set()
        await asyncio.Event().wait()

    async with app.worker() as worker:
        job = await endless.asend()
        await started.wait()
        worker.stop(now=True)
    record = await job.arecord()
    assert (record.state, record.releases, record.failures) == ("queued", 1, 0)
    await app.aclose()


async def test_what_never_stops_keeps_its_lease(
    app: Ropeway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread cannot be killed, so nobody may be told that its call can run elsewhere."""
    monkeypatch.setattr(local, "FAREWELL", 0.05)
    started, gate = threading.Event(), threading.Event()

    @app.task(name="stubborn")
    def stubborn() -> None:
        started.set()
        gate.wait()

    async with app.worker() as worker:
        job = await stubborn.asend()
        await asyncio.to_thread(started.wait)
        worker.stop(now=True)
    assert await job.astatus() == "running"
    gate.set()
    await app.aclose()


async def test_a_blocked_loop_loses_no_lease(app: Ropeway) -> None:
    """Leases are renewed by another thread: half a lease later nobody else can have it."""

    @app.task(name="block")
    async def block() -> int:
        time.sleep(1.5)  # noqa: ASYNC251  the fault that is tested
        thief = app.connection.blocking()
        return len(step(thief.receive([Claim("default", 1)], "thief", 60)))

    async with app.worker():
        job = await block.asend()
        assert await job.aresult(10) == 0
        assert (await job.arecord()).attempt == 1
    await app.aclose()


async def test_a_worker_that_cannot_open_its_database_says_so(tmp_path: Path) -> None:
    """Entering the block raises; nothing is left behind."""
    file = tmp_path / "jobs.db"
    file.write_bytes(b"not a database, whatever its name says" * 100)
    app = Ropeway(f"sqlite:///{file}")
    with pytest.raises(Exception, match="not a database"):
        async with app.worker():
            pytest.fail("it has started")


PROGRAM = """
import os, sys, threading
from ropeway import Ropeway

app = Ropeway()

@app.task
def add(x: int, y: int) -> int:
    return x + y

@app.task
def stuck() -> None:
    print("stuck", flush=True)
    threading.Event().wait()

if __name__ == "__main__":
    sys.exit(app.worker().run())
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program that is a worker and nothing else."""
    tmp_path.joinpath("jobs.py").write_text(textwrap.dedent(PROGRAM))
    monkeypatch.setenv("ROPEWAY_URL", f"sqlite:///{tmp_path / 'jobs.db'}")
    monkeypatch.setenv("ROPEWAY_LEASE", "30")
    monkeypatch.setenv("ROPEWAY_GRACE", "0.2")
    process = subprocess.Popen(
        [sys.executable, "jobs.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    yield process
    process.kill()
    process.communicate()


def test_run_works_until_it_is_told_to_stop(program: subprocess.Popen[bytes]) -> None:
    """A signal ends it in order, with the exit code of a worker."""
    sender = Ropeway()

    @sender.task(name="jobs.add")
    def add(x: int, y: int) -> int: ...  # type: ignore[empty-body]  # it runs elsewhere

    assert add.send(2, 3).result(10) == 5
    program.send_signal(signal.SIGTERM)
    assert program.wait(10) == 0


def test_what_is_killed_is_taken_over_at_once(program: subprocess.Popen[bytes]) -> None:
    """The process was the proof of its own life: nobody waits for the lease of 30 seconds."""
    sender = Ropeway()

    @sender.task(name="jobs.stuck")
    def stuck() -> int:
        return current.attempt

    job = stuck.send()
    assert program.stdout is not None
    assert program.stdout.readline() == b"stuck\n"
    program.kill()
    program.wait()

    async def work() -> int:
        async with sender.worker():
            return await job.aresult(20)

    assert asyncio.run(work()) == 2


# -- seen and steered from outside -----------------------------------------------------------------


async def test_it_is_on_record(app: Ropeway) -> None:
    """Others see what it is and what it does, until it ends."""

    @app.task(name="plain")
    def plain() -> None: ...

    async with app.worker(queues=["mail", "default"], loop_slots=3, offers={"gpu": 1}):
        await (await plain.asend()).aresult(10)
        (found,) = await app.workers.als()
        assert (found.pid, found.children, found.state) == (
            os.getpid(),
            (os.getpid(),),
            "consuming",
        )
        assert found.queues == ("mail", "default")
        assert found.offers == {"gpu": 1}
        assert found.slots == {"loop": 3, "threads": 8, "cpu": 1}
        assert [each for each in found.tasks if not each.startswith("ropeway.")] == ["plain"]
        assert found.app.startswith("(inside ")
    assert await app.workers.als() == []
    await app.aclose()


async def test_it_does_what_it_is_told(app: Ropeway, aeventually: AsyncEventually) -> None:
    """Quiet, it claims nothing; then it goes on, says what it is doing, and stops."""
    began, gate = asyncio.Event(), asyncio.Event()

    @app.task(name="patient")
    async def patient() -> None:
        began.set()
        await gate.wait()

    @app.task(name="quick")
    async def quick() -> int:
        return 1

    async with app.worker():
        (worker,) = await aeventually(app.workers.als)
        held = await patient.asend()
        await began.wait()
        stacks = await app.workers.astack(worker.holder)
        assert "patient" in stacks
        assert stacks.count("== ") == 1
        await app.workers.aquiet(worker.holder)
        waiting = await quick.asend()
        gate.set()
        await held.aresult(10)
        assert await waiting.astatus() == "queued"
        assert (await app.workers.aget(worker.holder)).state == "quiet"
        await app.workers.aresume(worker.holder)
        assert await waiting.aresult(10) == 1
        await app.workers.astop(worker.holder)

        async def nobody() -> bool:
            return await app.workers.als() == []

        await aeventually(nobody)
        left = await quick.asend()
    assert await left.astatus() == "queued"
    await app.aclose()


# -- poison ----------------------------------------------------------------------------------------

POISON = """
import os, signal, sys, time
from ropeway import Ropeway, current

app = Ropeway(sys.argv[1], lease=1)


def witness(word):
    with open(sys.argv[2], "a") as file:
        file.write(f"{word} {current.attempt}\\n")


@app.task
def poison() -> None:
    witness("poison")
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def neighbour(seconds: float) -> None:
    witness("neighbour")
    time.sleep(seconds)


sys.exit(app.worker(thread_slots=4).run())
"""


def test_a_task_that_kills_its_program_again_and_again(tmp_path: Path) -> None:
    """It is found, program after program, and ends in quarantine; its neighbours end well."""
    program, url = tmp_path / "program.py", f"sqlite:///{tmp_path / 'jobs.db'}"
    program.write_text(POISON)
    app = Ropeway(url)

    @app.task(name="program.poison")
    def poison() -> None: ...

    @app.task(name="program.neighbour")
    def neighbour(seconds: float) -> None: ...

    bad = poison.send()
    good = [neighbour.send(0.5) for _ in range(3)]
    command = [sys.executable, str(program), url, str(tmp_path / "witness")]
    deaths = 0
    for _ in range(12):
        with subprocess.Popen(command) as process:
            _until_it_dies(process, [bad, *good])
            deaths += process.returncode == -signal.SIGKILL
        if process.returncode == 0:
            break
    assert bad.status() == "quarantined"
    assert {job.status() for job in good} == {"succeeded"}
    assert all(job.record().losses == 0 for job in good)
    assert bad.record().losses == 3
    lines = (tmp_path / "witness").read_text().split("\n")
    assert deaths == sum(line.startswith("poison") for line in lines)


def _until_it_dies(process: subprocess.Popen[bytes], jobs: list[Job[None]]) -> None:
    """Wait for the end of a program, which is told to stop when all is done."""
    while process.poll() is None:
        if all(job.status().final for job in jobs):
            process.terminate()
            process.wait(20)
        time.sleep(0.02)


async def test_what_runs_alone_waits_for_others(app: Ropeway) -> None:
    """A suspect begins when nothing else runs, others after it; while it waits for one, they run."""
    told: list[str] = []

    @app.task(name="inner")
    async def inner() -> int:
        told.append("inner")
        return 1

    @app.task(name="suspect")
    async def suspect() -> int:
        told.append("suspect")
        return await (await inner.asend()).aresult(10) + 1

    @app.task(name="long")
    async def long() -> None:
        await asyncio.sleep(0.2)
        told.append("long")

    job = await suspect.asend()
    for _ in range(2):  # abandoned twice: whoever held it said nothing more
        assert await app.store.receive([Claim("default", 1)], "dead", 0.01, 1.0)
        await asyncio.sleep(0.02)
    beside = await long.asend()
    async with app.worker():
        assert await job.aresult(10) == 2
        await beside.aresult(10)
    assert told in (["long", "suspect", "inner"], ["suspect", "inner", "long"])
    assert (await job.arecord()).attempt == 3
    await app.aclose()


async def test_a_suspect_is_given_back_where_others_do_not_end(
    app: Ropeway, monkeypatch: pytest.MonkeyPatch, aeventually: AsyncEventually
) -> None:
    """It does not keep the others waiting for ever."""
    monkeypatch.setattr(alone, "PATIENCE", 0.05)
    began, gate = asyncio.Event(), asyncio.Event()

    @app.task(name="endless")
    async def endless() -> None:
        began.set()
        await gate.wait()

    @app.task(name="suspect")
    async def suspect() -> None: ...

    @app.task(name="other")
    async def other() -> int:
        return 1

    job = await suspect.asend()
    for _ in range(2):
        assert await app.store.receive([Claim("default", 1)], "dead", 0.01, 1.0)
        await asyncio.sleep(0.02)
    held = await endless.using(priority=9).asend()
    async with app.worker():
        await began.wait()

        async def released() -> bool:
            return (await job.arecord()).releases > 0

        await aeventually(released)
        assert await (await other.asend()).aresult(10) == 1
        gate.set()
        await held.aresult(10)
        await job.aresult(10)
    await app.aclose()
