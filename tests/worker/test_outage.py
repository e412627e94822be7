"""The store is away for a while: the worker says so once, and works again at once when it is back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import Eventually
from tests.worker.rig import Rig, results, until
from tests.worker.test_storage import locked

OURS = """
import sys
from pathlib import Path
from ropeway.backends.sqlite.turnstile import Turnstile
turnstile = Turnstile(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
assert turnstile.enter()
print("in", flush=True)
sys.stdin.read()
"""


NAP = """
@app.task
def nap() -> None:
    witness()
    time.sleep(0.01)
"""


@contextmanager
def kept_by_another(rig: Rig) -> Iterator[None]:
    """Keep the database locked, as another program would, while there is much to do."""
    tasks = rig.module
    tasks.app.send_many(tasks.nap.call() for _ in range(400))
    with locked(rig):
        yield


@contextmanager
def kept_by_one_of_ours(rig: Rig) -> Iterator[None]:
    """Keep the turnstile, as a process does that was stopped in the middle of a commit."""
    process = subprocess.Popen(
        [sys.executable, "-c", OURS, str(rig.database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == b"ready\n"
    try:
        tasks = rig.module
        tasks.app.send_many(tasks.nap.call() for _ in range(400))
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"in\n"
        os.kill(process.pid, signal.SIGSTOP)
        yield
    finally:
        process.kill()
        process.communicate()


def memory(pid: int) -> int:
    """Return the bytes that a process has in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


@pytest.mark.parametrize("keep", [kept_by_another, kept_by_one_of_ours])
def test_a_worker_consumes_again_when_its_store_is_back(
    rig: Rig, eventually: Eventually, keep: object
) -> None:
    """After each of three outages: within 2 s, nothing lost or run twice, few words, flat memory."""
    tasks = rig.tasks(NAP)
    worker = rig.worker()
    results(tasks.app.send_many(tasks.nap.call() for _ in range(500)))
    before = memory(worker.pid)
    for outage in range(1, 4):
        with keep(rig):  # type: ignore[operator]  # one of the two above
            eventually(lambda: worker.said().count("no jobs are fetched: ") == outage)  # noqa: B023
            assert worker.process.poll() is None
        back, had = time.monotonic(), len(rig.executions())
        until(lambda: len(rig.executions()) > had, 2)  # noqa: B023
        assert time.monotonic() - back < 2
        eventually(rig.settled)
        eventually(lambda: worker.said().count("jobs are fetched again, after ") == outage)  # noqa: B023
    assert rig.times_run() == Counter(row.id for row in rig.rows())
    assert len(rig.rows()) == 500 + 3 * 400
    assert {(row.state, row.failures, row.losses) for row in rig.rows()} == {("succeeded", 0, 0)}
    assert memory(worker.pid) < before + 8 * 2**20
    assert worker.stop() == 0


def test_a_stop_at_once_does_not_wait_for_the_store(rig: Rig, eventually: Eventually) -> None:
    """A worker that is told to end at once ends, though its claim on the way has no answer."""
    rig.tasks(NAP)
    worker = rig.worker()
    with kept_by_one_of_ours(rig):
        eventually(lambda: "no jobs are fetched: " in worker.said())
        worker.signal(signal.SIGQUIT)
        assert worker.wait(8) in {0, 1}


def test_a_stop_is_heard_before_the_store_is_open(rig: Rig, eventually: Eventually) -> None:
    """A worker that cannot open its database yet ends at once when it is told to."""
    rig.tasks(NAP)
    with kept_by_one_of_ours(rig):
        worker = rig.worker(ready=False)
        # It has a child before it opens the database, and says nothing until that is open.
        eventually(lambda: worker.children and rig.folder.joinpath("jobs.db-turn").exists())
        eventually(lambda: _waits_for_the_turn(worker.pid), 15)
        worker.signal(signal.SIGTERM)
        assert worker.wait(5) == 0
    assert "loop slots" not in worker.said()


def _waits_for_the_turn(pid: int) -> bool:
    """Whether a process has the file open by which it waits to write."""
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            if os.readlink(link).endswith("-turn"):
                return True
    return False
