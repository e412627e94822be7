"""A dead holder's leases are over at once, a living one's never before their time."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ropeway import lifeline
from ropeway.backends.sqlite import Blocking, Database, SqliteBackend
from ropeway.claims import Claim
from ropeway.ids import new_id
from ropeway.message import (
    CHARGED_AFTER,
    Delivery,
    JobRecord,
    Message,
    job_key,
    solo_key,
    solo_mark,
)
from ropeway.stepping import step
from ropeway.transition import Put, Release, Transition
from tests.conftest import Eventually

LONG = 3600.0
CLAIMS = """
import os, subprocess, sys
from pathlib import Path
from ropeway.backends.sqlite import Blocking, Database, SqliteBackend
from ropeway.claims import Claim
from ropeway.stepping import step
database = Database(Path(sys.argv[1]))
backend = SqliteBackend(database, Blocking(database))
path = step(backend.lifeline("first"))
child = None
if len(sys.argv) > 2:
    child = subprocess.Popen([sys.executable, "-c", sys.argv[2], path], stdout=subprocess.PIPE)
    child.stdout.readline()
assert len(step(backend.receive([Claim("default", 9)], "first", 3600))) == 9
print(child.pid if child else 0, flush=True)
sys.stdin.read()
"""
JOINS = """
import sys, time
from ropeway import lifeline
assert lifeline.join(sys.argv[1]) is not None
print("joined", flush=True)
time.sleep(60)
"""


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[SqliteBackend]:
    database = Database(tmp_path / "jobs.db")
    made = SqliteBackend(database, Blocking(database))
    step(made.commit([Transition(publish=(Message(id=new_id(), task="t"),)) for _ in range(9)]))
    yield made
    database.close()


def holder(backend: SqliteBackend, *child: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start a process that holds nine leases, and perhaps one that works for it."""
    command = [sys.executable, "-c", CLAIMS, str(backend.database.path), *child]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def take(backend: SqliteBackend) -> int:
    return len(step(backend.receive([Claim("default", 9)], "second", LONG)))


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def test_a_dead_holder_has_no_leases(backend: SqliteBackend, eventually: Eventually) -> None:
    """What a killed process held is handed over at once, an hour before its leases end."""
    process, _ = holder(backend)
    assert take(backend) == 0
    end(process)
    eventually(lambda: take(backend) == 9, 2)
    assert list(backend.database.path.parent.glob("*-holders/*")) == []


def test_who_waits_hears_of_a_death(backend: SqliteBackend) -> None:
    """A worker that waits for messages gets those of a dead one without asking again."""
    process, _ = holder(backend)
    end(process)
    assert len(step(backend.receive([Claim("default", 9)], "second", LONG, wait=5))) == 9


def test_a_stopped_holder_is_not_dead(backend: SqliteBackend) -> None:
    """Its leases end by time, as nobody knows whether it goes on."""
    process, _ = holder(backend)
    process.send_signal(signal.SIGSTOP)
    assert step(backend.receive([Claim("default", 9)], "second", LONG, wait=1)) == []
    end(process)


def test_the_last_of_them_counts(backend: SqliteBackend, eventually: Eventually) -> None:
    """While a process still works for a dead holder, its leases hold."""
    process, child = holder(backend, JOINS)
    end(process)
    assert step(backend.receive([Claim("default", 9)], "second", LONG, wait=1)) == []
    os.kill(child, signal.SIGKILL)
    eventually(lambda: take(backend) == 9, 2)


def test_nobody_joins_the_dead(tmp_path: Path) -> None:
    """One that comes too late to work for a holder hears that it is dead."""
    path = tmp_path / "holder"
    os.close(lifeline.make(path))
    lock = lifeline.take(path)
    assert lock is not None
    assert lifeline.join(path) is None
    assert lifeline.take(path) is None
    path.unlink()
    os.close(lock)
    assert lifeline.join(path) is None


def test_the_living_are_not_taken_for_dead(tmp_path: Path) -> None:
    """As long as one keeps it, others can join it and nobody can take it."""
    path = tmp_path / "holder"
    first = lifeline.make(path)
    second = lifeline.join(path)
    assert second is not None
    os.close(first)
    assert lifeline.take(path) is None
    os.close(second)
    assert lifeline.take(path) is not None


def test_the_death_of_a_solo_run_is_charged(backend: SqliteBackend, eventually: Eventually) -> None:
    """What a dead holder ran beside nothing else has a loss more; what it just held has none."""
    found = step(backend.receive([Claim("default", 1)], "second", LONG))
    for _ in range(CHARGED_AFTER):
        (each,) = found
        step(backend.commit([Transition(fence=each.fence, settle=Release("none"))]))
        found = step(backend.receive([Claim("default", 1)], "second", LONG))
    step(backend.commit([Transition(fence=found[0].fence, settle=Release("releases"))]))
    process, _ = holder(backend)
    (begun,) = step(backend.get([job_key(found[0].fence.id)]))
    assert begun is not None
    job = msgspec.msgpack.decode(begun.value, type=JobRecord)
    mark = Put(solo_key(job.message.id), solo_mark(job.attempt))
    step(backend.commit([Transition(put=(mark,))]))
    end(process)
    taken: list[Delivery] = []

    def take_all() -> bool:
        taken.extend(step(backend.receive([Claim("default", 9)], "second", LONG)))
        return len(taken) == 9

    eventually(take_all, 2)
    assert {each.fence.id: each.losses for each in taken if each.solo} == {found[0].fence.id: 1}
    assert sum(each.losses for each in taken) == 1


def test_a_lifeline_that_is_buried_before_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks for the dead may take what is just being made for theirs: it is made again."""
    usual, path = fcntl.flock, tmp_path / "me"

    def late(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", usual)
        lock = lifeline.take(tmp_path / ".me")
        assert lock is not None
        (tmp_path / ".me").unlink()
        os.close(lock)
        usual(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    mine = lifeline.make(path)
    assert lifeline.take(path) is None
    os.close(mine)
    assert [each.name for each in tmp_path.iterdir()] == ["me"]
