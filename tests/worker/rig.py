"""A directory with tasks, a database and a witness file, and workers started as a user does."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import msgspec
import pytest

from ropeway.connect import Connection
from ropeway.envelope import STATES
from ropeway.errors import JobNotFound
from ropeway.message import JobRecord, Message
from ropeway.results import Job
from ropeway.stepping import step
from ropeway.store import Backend, Filter
from ropeway.transition import Transition
from tests.places import chosen

PRELUDE = """
import asyncio, os, signal, sys, threading, time
from ropeway import Retry, RetryPolicy, Ropeway, TimeLimit, current

app = Ropeway()


def witness(mark="-", file="witness"):
    line = f"{mark} {current.attempt} {os.getpid()} {current.job_id}\\n"
    path = os.path.join(os.environ["RIG"], file)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def gate(name="gate"):
    return os.path.exists(os.path.join(os.environ["RIG"], name))


def hold(name="gate"):
    while not gate(name):
        time.sleep(0.005)


async def ahold(name="gate"):
    while not gate(name):
        await asyncio.sleep(0.005)
"""


class Execution(NamedTuple):
    """One line of the witness file: one time that a task's body was entered."""

    mark: str
    attempt: int
    pid: int
    job: str


class Row(NamedTuple):
    """What the database says of one job."""

    id: str
    task: str
    state: str
    attempt: int
    failures: int
    losses: int
    releases: int
    due: float
    enqueued: float
    error: str


class Worker:
    """A worker process, and what it wrote to its log."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.log = process, log
        self.pid = process.pid

    @property
    def children(self) -> list[int]:
        """The pids of its child processes."""
        return children_of(self.pid)

    @property
    def tree(self) -> list[int]:
        """Its own pid and those of its children."""
        return [self.pid, *self.children]

    def said(self) -> str:
        """All that it and its children wrote to standard error."""
        return self.log.read_text(errors="replace")

    def signal(self, number: int) -> None:
        """Send a signal to the supervisor alone."""
        os.kill(self.pid, number)

    def wait(self, timeout: float = 10.0) -> int:
        """Wait for its end; returns the exit code."""
        return self.process.wait(timeout)

    def stop(self, timeout: float = 10.0) -> int:
        """Ask it to stop, and wait for its end; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def freeze(self) -> None:
        """Stop the supervisor and its children, as a machine that is paused would."""
        for pid in self.tree:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let everything that was frozen go on."""
        for pid in self.tree:
            os.kill(pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it without a word, however it is."""
        tree = self.tree
        for pid in tree:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


class Rig:
    """One test's place: `tasks.py`, the database, the witness file and the workers."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, place: dict[str, str]
    ) -> None:
        self.folder = folder
        self.database = folder / "jobs.db"
        self.workers: list[Worker] = []
        self.module: Any = None
        self._patch = monkeypatch
        self._look: apsw.Connection | None = None
        self._store: Backend | None = None
        monkeypatch.setenv("RIG", str(folder))
        self.url = place["url"]
        self.set(**place, lease=1, grace=10)

    # -- before ---------------------------------------------------------------------------

    def set(self, **settings: object) -> None:
        """Change settings for what is loaded or started from now on."""
        for name, value in settings.items():
            self._patch.setenv(f"ROPEWAY_{name.upper()}", str(value))

    def write(self, source: str) -> None:
        """Write `tasks.py`: the prelude and `source`."""
        self.folder.joinpath("tasks.py").write_text(PRELUDE + textwrap.dedent(source))

    def tasks(self, source: str) -> Any:
        """Write `tasks.py` and load it here; returns the module."""
        self.write(source)
        spec = importlib.util.spec_from_file_location("tasks", self.folder / "tasks.py")
        assert spec is not None and spec.loader is not None
        self.module = importlib.util.module_from_spec(spec)
        self._patch.setitem(sys.modules, "tasks", self.module)
        spec.loader.exec_module(self.module)
        return self.module

    def worker(self, *options: str, ready: bool = True, target: str = "tasks:app") -> Worker:
        """Start a worker, with one child unless told otherwise, and wait until it takes jobs."""
        log = self.folder / f"worker-{len(self.workers)}.log"
        sized = {"--children", "--min", "--max"} & set(options)
        children = () if sized else ("--children", "1")
        command = [sys.executable, "-m", "ropeway", "worker", target, *children, *options]
        with log.open("wb") as sink:
            process = subprocess.Popen(
                command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=sink
            )
        worker = Worker(process, log)
        self.workers.append(worker)
        if ready:
            until(lambda: "child" in worker.said() or process.poll() is not None)
            assert process.poll() is None, worker.said()
        return worker

    def open_gate(self, name: str = "gate") -> None:
        """Let tasks go on that wait in `hold`."""
        self.folder.joinpath(name).touch()

    # -- after ----------------------------------------------------------------------------

    def executions(self, file: str = "witness") -> list[Execution]:
        """Return what the witness file says, in order."""
        path = self.folder / file
        if not path.exists():
            return []
        # A line that crosses a page may be seen while only its beginning is there.
        whole, _, _ = path.read_text().rpartition("\n")
        lines = (line.split(" ") for line in whole.splitlines())
        return [Execution(mark, int(attempt), int(pid), job) for mark, attempt, pid, job in lines]

    def times_run(self) -> Counter[str]:
        """How often each job's body was entered."""
        return Counter(each.job for each in self.executions())

    def marks(self) -> list[str]:
        """The marks of the witness file, in order."""
        return [each.mark for each in self.executions()]

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement on a connection of the test's own; only where a file is."""
        if not self.in_file:
            pytest.skip("looks into the file of SQLite")
        if self._look is None:
            self._look = apsw.Connection(str(self.database))
            self._look.set_busy_timeout(5000)
        return list(self._look.cursor().execute(statement, values).fetchall())

    @property
    def in_file(self) -> bool:
        """Whether the jobs are in a file of SQLite."""
        return self.url.startswith("sqlite")

    @property
    def paired(self) -> bool:
        """Whether plain messages travel through a broker, so that the store has them later."""
        return bool(os.environ.get("ROPEWAY_BROKER"))

    @property
    def store(self) -> Backend:
        """What keeps the jobs."""
        if self._store is None:
            self._store = Connection(self.url).blocking()
        return self._store

    def jobs(self) -> list[JobRecord]:
        """All that is kept of all jobs, in the order of sending, whatever keeps them."""
        found, before = list[JobRecord](), None
        while True:
            page = step(self.store.search(Filter(), before, 1000))
            found += page.jobs
            before = page.older
            if before is None:
                return found[::-1]

    def rows(self, jobs: Sequence[Job[Any]] | None = None) -> list[Row]:
        """What the database says of `jobs`, or of all, in the order of sending."""
        if jobs is None and self.resting():
            raise JobNotFound("nothing is kept of what rests in the broker")
        rows = self._rows_of_file() if self.in_file else list(map(_row, self.jobs()))
        if jobs is None:
            return rows
        by_id = {row.id: row for row in rows}
        if self.paired and (missing := [job.id for job in jobs if job.id not in by_id]):
            raise JobNotFound(f"nothing is kept of {missing[0]}")
        return [by_id[job.id] for job in jobs]

    def _rows_of_file(self) -> list[Row]:
        found = self.sql(
            "select id, task, state, attempt, failures, losses, releases, coalesce(due, place),"
            " enqueued, error from job order by serial"
        )
        return [
            Row._make([*row[:2], str(STATES[row[2]]), *row[3:9], (row[9] or b"").decode()])
            for row in found
        ]

    def row(self, job: Job[Any]) -> Row:
        """What the database says of one job."""
        return self.rows([job])[0]

    def states(self) -> Counter[str]:
        """How many jobs are in each state; what rests in a broker is queued."""
        resting = +Counter(queued=self.resting())
        if not self.in_file:
            return resting + Counter(str(each.state) for each in self.jobs())
        counts = self.sql("select state, count(*) from job group by state")
        return resting + Counter({str(STATES[state]): count for state, count in counts})

    def settled(self) -> bool:
        """Whether no job is queued or running."""
        if self.resting():
            return False
        if not self.in_file:
            still = (Filter(state=state) for state in STATES if not state.final)
            return not any(step(self.store.count(each, 1)).number for each in still)
        return not self.sql("select 1 from job where state < 2 limit 1")

    def record(self, job: Job[Any]) -> JobRecord:
        """Return all that is kept of a job."""
        return step(job.arecord())

    def publish(self, message: Message) -> Job[Any]:
        """Commit a message as another program might, unchecked."""
        (answer,) = step(self.pair.commit([_publishing(message)]))
        assert answer.ok
        job: Job[Any] = self.module.app.job(message.id)
        return job

    def resting(self) -> int:
        """How many messages are in the broker of a pair, and with nobody."""
        if not self.paired or self.module is None:
            return 0
        stored = {each.queue: each.ready for each in step(self.store.stats(None, 100_000))}
        both = step(self.pair.stats(None, 100_000))
        return sum(each.ready - stored.get(each.queue, 0) for each in both)

    def needs_record(self) -> None:
        """Skip on a pair, which knows a job only from its first hand-over on: `recorded` is no."""
        if self.paired:
            pytest.skip("declared: a pair has no record of what rests in its broker")

    @property
    def pair(self) -> Backend:
        """What the app sends to: the store, and the broker if there is one."""
        found: Backend = self.module.app.connection.blocking()
        return found

    def close(self) -> None:
        """End every worker, and close the database."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()
        if self._look is not None:
            self._look.close()
        if self._store is not None:
            step(self._store.close())
        if self.module is not None and hasattr(self.module, "app"):
            step(self.module.app.connection.blocking().close())

    def logs(self) -> str:
        """The last that all workers said, for a failed test."""
        return "\n".join(
            "\n".join([f"--- {each.log.name}", *each.said().splitlines()[-20:]])
            for each in self.workers
        )


@contextlib.contextmanager
def opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Rig]:
    """Make a place for tasks and workers, and end everything that was started there."""
    rig = Rig(folder, monkeypatch, chosen(folder, request))
    try:
        yield rig
    finally:
        rig.close()
        print(rig.logs())


def _row(job: JobRecord) -> Row:
    error = msgspec.json.encode(job.error).decode() if job.error else ""
    counters = (job.attempt, job.failures, job.losses, job.releases)
    return Row(
        job.message.id, job.message.task, str(job.state), *counters, job.due, job.enqueued, error
    )


def _publishing(message: Message) -> Transition:
    return Transition(publish=(message,))


def children_of(pid: int) -> list[int]:
    """Return the pids of a process's children that have not ended."""
    found: list[int] = []
    for place in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, place.read_text().split())
    return [child for child in found if alive(child)]


def alive(pid: int) -> bool:
    """Whether a process runs or could run: a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def until(predicate: Callable[[], object], timeout: float = 10.0) -> None:
    """Wait until `predicate()` is true, for helpers; a test has the fixture `eventually`."""
    deadline = time.monotonic() + timeout
    while not predicate():
        assert time.monotonic() < deadline, f"not within {timeout} s"
        time.sleep(0.005)


def results(jobs: Sequence[Job[Any]], timeout: float = 10.0) -> list[Any]:
    """Wait for all jobs and return what they returned."""
    deadline = time.monotonic() + timeout
    return [job.result(max(0.0, deadline - time.monotonic())) for job in jobs]
