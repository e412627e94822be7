"""What happens to a job in a sandbox is what happens to it in a real worker, move by move."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ropeway import Retry, RetryPolicy, Ropeway, current
from ropeway.connect import Connecting, Connection
from ropeway.errors import RopewayError
from ropeway.results import Job
from ropeway.store import Backend
from ropeway.testing.recorded import Move, Recorded
from tests.worker.rig import Rig, opened

QUICK = RetryPolicy(retries=5, base=0.01, cap=0.1, jitter=False)


class Hopeless(Exception):
    """An error that is not tried again."""


def made(url: str) -> Ropeway:
    """Return an app with a task for each way in which a call can end."""
    app = Ropeway(url)

    @app.task(name="fine")
    def fine(x: int) -> int:
        return x

    @app.task(name="flaky", retries=QUICK)
    async def flaky(times: int) -> int:
        if current.attempt <= times:
            raise ValueError(f"run {current.attempt}")
        return current.attempt

    @app.task(name="asks", retries=QUICK)
    def asks() -> None:
        if current.attempt == 1:
            raise Retry("not yet", after=0.02)

    @app.task(name="hopeless", retries=QUICK, dont_retry_on=(Hopeless,))
    def hopeless() -> None:
        raise Hopeless

    @app.task(name="slow", retries=RetryPolicy(retries=1, base=0.01, jitter=False), timeout=0.02)
    async def slow() -> None:
        await asyncio.sleep(60)

    @app.task(name="unprintable")
    def unprintable() -> Any:
        return object()

    @app.task(name="parent")
    async def parent() -> int:
        return await (await fine.asend(1)).aresult(timeout=10)

    return app


CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("fine", (1,)),
    ("flaky", (0,)),
    ("flaky", (5,)),
    ("flaky", (99,)),
    ("asks", ()),
    ("hopeless", ()),
    ("slow", ()),
    ("unprintable", ()),
    ("parent", ()),
]


class RecordedConnection:
    """A connection whose backends all note what they are asked for, in one place."""

    def __init__(self, inner: Connecting) -> None:
        self._inner = inner
        self.events, self.clock = inner.events, inner.clock
        self.longest_wait = inner.longest_wait
        self.record = Recorded(inner.blocking())

    def looped(self, *, own: bool = False) -> Backend:
        """Return a backend for the running loop."""
        return self.record.beside(self._inner.looped(own=own))

    def blocking(self) -> Backend:
        """Return the one that blocks."""
        return self.record


async def ended(job: Job[Any]) -> None:
    """Wait for the job's end, whatever that is."""
    try:
        await job.aresult(timeout=20)
    except RopewayError:
        assert (await job.astatus()).final


def essence(moves: list[Move]) -> list[tuple[Any, ...]]:
    """What must be the same; the instants are those of two clocks."""
    return [
        (each.state, each.attempt, each.charged, each.delay, each.error, each.refused)
        for each in moves
    ]


@pytest.mark.parametrize(("name", "arguments"), CALLS, ids=str)
async def test_the_moves_are_the_same(
    name: str, arguments: tuple[Any, ...], tmp_path: Path
) -> None:
    """In memory with a clock that stands still, and on SQLite with the machine's clock."""
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    real, virtual = made(url), made("memory://")
    connection = RecordedConnection(Connection(url))
    with real.connected(connection):
        async with real.worker():
            job = await real.tasks[name].asend(*arguments)
            await ended(job)
        expected = essence(connection.record.history(job.id))
        await real.aclose()
    async with virtual.testing() as sandbox:
        job = await virtual.tasks[name].asend(*arguments)
        await ended(job)
        assert essence(sandbox.history(job)) == expected
    assert len(expected) >= 3


COUNTED = """
@app.task(name="dies", retries=RetryPolicy(retries=2, base=0.01))
def dies(kill: int, fail: int) -> None:
    witness()
    with open(os.path.join(os.environ["RIG"], "witness")) as runs:
        run = len(runs.readlines())
    if run <= kill:
        os.kill(os.getpid(), signal.SIGKILL)
    if run <= kill + fail:
        raise ValueError
"""


@pytest.mark.parametrize(("kill", "fail"), [(1, 0), (1, 2), (0, 3), (3, 0)])
def test_a_killed_process_counts_the_same(
    kill: int,
    fail: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """A child that is really killed, and one that a test says was: the same counters, the same end."""
    sandboxed = Ropeway("memory://")

    @sandboxed.task(name="dies", retries=RetryPolicy(retries=2, base=0.01))
    def dies(kill: int, fail: int) -> None:
        if current.attempt <= kill + fail:
            raise ValueError

    with sandboxed.testing() as sandbox:
        sandbox.inject("killed", times=kill)
        simulated = dies.send(kill, fail)
        sandbox.run_all(within="12h")
        expected = counters(simulated)
    with opened(tmp_path, monkeypatch, request) as rig:
        tasks = rig.tasks(COUNTED)
        rig.worker()
        job = tasks.dies.send(kill, fail)
        wait_for_end(rig, job)
        assert counters(job) == expected


def counters(job: Job[Any]) -> tuple[Any, ...]:
    """How the job ended, and what was charged.

    What is claimed for a child that dies meanwhile goes back: how often depends on the moment.
    """
    record = job.record()
    error = record.error.type if record.error else None
    runs = record.attempt - record.releases
    return (record.state, runs, record.failures, record.losses, error)


def wait_for_end(rig: Rig, job: Job[Any]) -> None:
    """Wait until the job is settled."""
    try:
        job.result(timeout=30)
    except RopewayError:
        assert job.status().final, [worker.said() for worker in rig.workers]
