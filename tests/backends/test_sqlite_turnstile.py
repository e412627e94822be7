"""The turnstile when somebody at it dies, or is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ropeway.backends.sqlite import Blocking, Database, SqliteBackend, database
from ropeway.backends.sqlite.turnstile import OVERTAKE, Turnstile
from ropeway.errors import BackendUnavailable
from ropeway.ids import new_id
from ropeway.message import Message
from ropeway.stepping import step
from ropeway.transition import Transition

WRITES = """
import sys
from pathlib import Path
from ropeway.backends.sqlite.turnstile import Turnstile
turnstile = Turnstile(Path(sys.argv[1]))
turnstile.enter()
print("writes", flush=True)
sys.stdin.read()
"""
HEADS = """
import fcntl, sys
from pathlib import Path
from ropeway.backends.sqlite.turnstile import Turnstile
turnstile = Turnstile(Path(sys.argv[1]))
fcntl.flock(turnstile._turn, fcntl.LOCK_EX)
print("has the turn", flush=True)
sys.stdin.read()
"""


@contextmanager
def other(program: str, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run another process that stands in the turnstile."""
    command = [sys.executable, "-c", program, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline()
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


def publish() -> list[Transition]:
    return [Transition(publish=(Message(id=new_id(), task="t"),))]


@pytest.mark.parametrize("place", [WRITES, HEADS])
def test_one_that_dies_frees_its_place(path: Path, place: str) -> None:
    """Whoever is killed while it writes, or while it is next, holds nobody up."""
    with other(place, path) as process:
        turnstile = Turnstile(path)
        assert turnstile.contended() or not turnstile.enter(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        start = time.monotonic()
        assert turnstile.enter()
        assert time.monotonic() - start < OVERTAKE
        turnstile.close()


def test_one_that_is_stopped_while_it_is_next_is_overtaken(path: Path) -> None:
    """The turn of a stopped process is not waited for: nobody writes, so somebody may."""
    with other(HEADS, path) as process:
        process.send_signal(signal.SIGSTOP)
        start = time.monotonic()
        shared = Database(path)
        backend = SqliteBackend(shared, Blocking(shared))
        for _ in range(20):
            step(backend.commit(publish()))
        assert time.monotonic() - start < 5 * OVERTAKE, "it waits for the turn every time"
        shared.close()
        process.send_signal(signal.SIGCONT)


def test_one_that_is_stopped_while_it_writes_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others get an error that names the process and says that it was stopped; then they go on."""
    monkeypatch.setattr(database, "PATIENCE", 1.0)
    shared = Database(path)
    backend = SqliteBackend(shared, Blocking(shared))
    step(backend.open())
    with other(WRITES, path) as process:
        process.send_signal(signal.SIGSTOP)
        start, used = time.monotonic(), time.process_time()
        with pytest.raises(BackendUnavailable) as caught:
            step(backend.commit(publish()))
        assert time.monotonic() - start < 5
        assert time.process_time() - used < 0.5, "it waits by trying all the time"
        assert f"process {process.pid} (python" in caught.value.fact
        assert "stopped" in caught.value.fact
        assert "kill -CONT" in caught.value.hint
    step(backend.commit(publish()))
    shared.close()


def test_locks_are_told_of_this_process_too(path: Path) -> None:
    """Whoever looks while nobody writes finds nobody to name."""
    turnstile = Turnstile(path)
    assert "another container" in turnstile.writer()
    assert turnstile.enter()
    assert f"process {os.getpid()} (" in turnstile.writer()
    turnstile.close()
