"""The log: who takes it into the database, when it starts over, and how durable a change is."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from ropeway.backends.sqlite import Blocking, Database, SqliteBackend, checkpoint
from ropeway.backends.sqlite.checkpoint import PAGES
from ropeway.backends.sqlite.opened import Opened
from ropeway.claims import Claim
from ropeway.config import Durability
from ropeway.errors import Indeterminate
from ropeway.ids import new_id
from ropeway.message import Message
from ropeway.states import State
from ropeway.stepping import step
from ropeway.transition import Finish, Transition

Eventually = Callable[..., None]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "jobs.db")
    made.open()
    yield made
    made.close()


def opened(database: Database) -> Opened:
    assert database._opened is not None
    return database._opened


def write(database: Database, pages: int) -> None:
    """Let the log grow by at least so many pages."""
    backend = SqliteBackend(database, Blocking(database))
    for _ in range(pages // 100):
        publish = (Message(id=new_id(), task="t", body=bytes(4_000)) for _ in range(100))
        step(backend.commit([Transition(publish=(each,)) for each in publish]))


def pages_of_log(database: Database) -> int:
    return opened(database).checkpoints.pages


def test_the_log_does_not_grow_beside_writers(database: Database) -> None:
    """Two that write without a pause leave a log of a few thousand pages: it starts over."""
    other = Database(database.path)
    threads = [threading.Thread(target=write, args=(each, 20_000)) for each in (database, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    size = os.path.getsize(f"{database.path}-wal")
    other.close()
    assert size < 10 * PAGES * 4096


def test_a_commit_does_not_wait_for_a_checkpoint(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the log is being taken in, others commit."""
    inside, go_on = threading.Event(), threading.Event()
    move_some = checkpoint._move_some

    def move_slowly(connection: apsw.Connection) -> int:
        inside.set()
        assert go_on.wait(10)
        return move_some(connection)

    monkeypatch.setattr(checkpoint, "_move_some", move_slowly)
    write(database, 2 * PAGES)
    assert inside.wait(10)
    write(database, 100)
    go_on.set()


def test_one_process_at_a_time_takes_the_log_in(database: Database) -> None:
    """Whoever is not elected leaves it to the one who is."""
    election = os.open(f"{database.path}-checkpoint", os.O_RDWR | os.O_CREAT)
    fcntl.flock(election, fcntl.LOCK_EX)
    assert not opened(database).checkpoints.run_once()
    os.close(election)
    assert opened(database).checkpoints.run_once()


def test_a_reader_that_stays_only_delays_it(database: Database, eventually: Eventually) -> None:
    """A reader's view is not waited for; when it has gone the log starts over."""
    reader = apsw.Connection(str(database.path))
    reader.execute("begin; select count(*) from job").fetchall()
    write(database, PAGES)
    eventually(opened(database).checkpoints.run_once)
    write(database, PAGES)
    assert pages_of_log(database) > PAGES
    reader.close()
    eventually(opened(database).checkpoints.run_once)
    write(database, 100)
    assert pages_of_log(database) < PAGES


def test_closing_waits_for_a_checkpoint(database: Database) -> None:
    """No thread works on a file that is closed, and a closed file opens again."""
    write(database, 2 * PAGES)
    database.close()
    assert not [each for each in threading.enumerate() if "checkpoint" in each.name]
    write(database, 100)


def test_after_an_error_of_the_disk_the_log_begins_anew(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows a flush that failed is acknowledged only when nothing rests on what it left."""
    failures = [OSError(errno.EIO, "Input/output error"), None]

    def flush(_: int) -> None:
        if failures and (failure := failures.pop(0)):
            raise failure

    monkeypatch.setattr(os, "fdatasync", flush)
    backend = SqliteBackend(database, Blocking(database))
    sent = [Message(id=new_id(), task="t") for _ in range(3)]
    write_one = [[Transition(publish=(each,))] for each in sent]
    with pytest.raises(Indeterminate, match="Input/output error"):
        step(backend.commit(write_one[0]))
    step(backend.commit(write_one[1]))
    assert pages_of_log(database) < 10  # of this commit alone
    assert not opened(database).in_doubt
    with pytest.MonkeyPatch.context() as broken:
        opened(database).in_doubt = True
        broken.setattr(Opened, "restore", still_broken)
        with pytest.raises(Indeterminate, match="disk reported"):
            step(backend.commit(write_one[2]))
    assert step(backend.commit(write_one[2]))[0].status == "applied"
    assert step(backend.commit(write_one[0]))[0].status == "repeated"


def still_broken(_: Opened) -> None:
    raise apsw.IOError("disk I/O error")


@pytest.mark.parametrize(("durability", "flushes"), [("disk", 1), ("process", 0)])
def test_durability(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: Durability, flushes: int
) -> None:
    """With "process" neither a send nor a settle waits for the disk."""
    database = Database(tmp_path / "jobs.db", durability=durability)
    backend = SqliteBackend(database, Blocking(database))
    step(backend.open())
    flushed: list[int] = []
    monkeypatch.setattr(os, "fdatasync", flushed.append)
    step(backend.commit([Transition(publish=(Message(id=new_id(), task="t"),))]))
    assert len(flushed) == flushes
    (delivery,) = step(backend.receive([Claim("default", 1)], "me", 60))
    settle = Transition(fence=delivery.fence, settle=Finish(State.SUCCEEDED))
    step(backend.commit([settle]))
    assert opened(database).writer.execute("pragma synchronous").get == 1 + flushes
    database.close()
