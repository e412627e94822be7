"""The log's share of the disk: written ahead, whoever dies or cuts it off, and never over a frame."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from ropeway.backends.sqlite import Blocking, Database, SqliteBackend
from ropeway.backends.sqlite.checkpoint import PAGES
from ropeway.backends.sqlite.opened import Opened
from ropeway.backends.sqlite.room import RESERVE, _write_zeros
from ropeway.ids import new_id
from ropeway.message import Message
from ropeway.stepping import step
from ropeway.transition import Transition
from tests.conftest import Eventually
from tests.disks import fill, free_bytes, small_disk


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "jobs.db")
    made.open()
    yield made
    made.close()


def opened(database: Database) -> Opened:
    database.open()
    assert database._opened is not None
    return database._opened


def send(database: Database, count: int) -> None:
    """Send one by one."""
    backend = SqliteBackend(database, Blocking(database))
    for _ in range(count):
        message = Message(id=new_id(), task="t", body=bytes(100))
        step(backend.commit([Transition(publish=(message,))]))


def sent(database: Database) -> int:
    """Count what is there, in a file that is not damaged."""
    look = "select count(*), (select integrity_check from pragma_integrity_check) from job"
    ((count, damage),) = database.read(lambda execute: execute(look).fetchall())
    assert damage == "ok"
    return int(count)


def log_of(database: Database) -> Path:
    return database.path.with_name(database.path.name + "-wal")


def is_whole(database: Database) -> bool:
    """Whether each block of the log's share is on the disk, and written."""
    with log_of(database).open("rb") as log:
        found = os.fstat(log.fileno())
        if found.st_size < RESERVE or found.st_blocks * 512 < RESERVE:
            return False
        return os.lseek(log.fileno(), 0, os.SEEK_HOLE) >= RESERVE


def cut_off(database: Database) -> None:
    """Empty the log, as a program may that does not know what its length is for."""
    stranger = apsw.Connection(str(database.path))
    stranger.execute("pragma wal_checkpoint(truncate)").fetchall()
    stranger.close()
    assert log_of(database).stat().st_size == 0


def test_sends_overwrite_what_was_written_ahead(database: Database, eventually: Eventually) -> None:
    """From the first one on, and past the log's start over, no send makes the log longer."""
    assert is_whole(database)
    before = log_of(database).stat()
    for _ in range(3):
        send(database, PAGES // 2)  # three pages each
        eventually(opened(database).checkpoints.run_once)
    after = log_of(database).stat()
    assert (after.st_size, after.st_blocks) == (before.st_size, before.st_blocks)
    assert sent(database) == 3 * (PAGES // 2)


def test_it_stays_when_all_have_gone(database: Database) -> None:
    """The next opening finds it, and writes nothing."""
    send(database, 10)
    database.close()
    assert is_whole(database)
    before = log_of(database).stat().st_mtime_ns
    assert sent(database) == 10
    assert log_of(database).stat().st_mtime_ns == before


def test_zeros_behind_the_frames_are_no_frames(database: Database) -> None:
    """After a crash the log is read from its start to where it was written."""
    send(database, 200)
    copy = Database(database.path.with_name("copy.db"))
    shutil.copy(database.path, copy.path)
    shutil.copy(log_of(database), log_of(copy))
    assert sent(copy) == 200
    send(copy, 10)
    assert sent(copy) == 210
    copy.close()


def test_a_log_that_was_cut_off_is_written_ahead_again(
    database: Database, eventually: Eventually
) -> None:
    """By the next checkpoint, and by the next opening."""
    send(database, 10)
    cut_off(database)
    send(database, 10)
    assert not is_whole(database)
    eventually(opened(database).checkpoints.run_once)
    assert is_whole(database)
    cut_off(database)
    database.close()
    assert sent(database) == 20
    assert is_whole(database)


def test_a_copy_with_holes_is_filled(database: Database) -> None:
    """What a copying program left out as zeros takes no room, until it is written."""
    send(database, 10)
    database.close()
    whole = log_of(database).with_name("whole")
    log_of(database).rename(whole)
    with whole.open("rb") as source, log_of(database).open("wb") as target:
        os.truncate(target.fileno(), RESERVE)
        target.write(source.read(PAGES * 100))
    assert not is_whole(database)
    assert sent(database) == 10
    assert is_whole(database)


def test_only_a_hole_is_filled(tmp_path: Path) -> None:
    """What is before and behind it stays, wherever the blocks of a file system begin."""
    with (tmp_path / "log").open("w+b", buffering=0) as log:
        log.write(b"x" * 20_000)
        _write_zeros(log.fileno(), 1024, 9 * 1024)
        assert os.pread(log.fileno(), 20_001, 0) == b"x" * 1024 + bytes(8192) + b"x" * 10_784


_KILLED = """
import os, signal, sys
from tests.backends.test_sqlite_room import Database, Path, cut_off, opened, send

database = Database(Path(sys.argv[1]))
send(database, 100)
cut_off(database)
send(database, 100)
write, chunks = os.pwrite, []

def write_some(log, zeros, at):
    if len(chunks) == 200:
        write(log, zeros[:500], at)
        os.kill(os.getpid(), signal.SIGKILL)
    chunks.append(at)
    return write(log, zeros, at)

os.pwrite = write_some
opened(database).room.reserve(opened(database).writer)
"""


def test_a_death_in_the_middle_is_harmless(tmp_path: Path) -> None:
    """What was sent is there, and the next one writes the rest."""
    path = tmp_path / "jobs.db"
    killed = subprocess.run([sys.executable, "-c", _KILLED, path], check=False)
    assert killed.returncode == -signal.SIGKILL
    database = Database(path)
    assert 2**20 < log_of(database).stat().st_size < RESERVE
    assert sent(database) == 200
    assert is_whole(database)
    send(database, 10)
    assert sent(database) == 210
    database.close()


def test_nothing_is_written_while_another_writes(database: Database) -> None:
    """A program that has SQLite's own lock may make the log longer at any moment."""
    send(database, 10)
    cut_off(database)
    stranger = apsw.Connection(str(database.path))
    stranger.execute("begin immediate; create table theirs (a)")
    connection = opened(database).writer
    connection.set_busy_timeout(10)
    opened(database).room.reserve(connection)
    assert log_of(database).stat().st_size == 0
    stranger.execute("commit")
    length = log_of(database).stat().st_size
    opened(database).room.reserve(connection)
    assert is_whole(database)
    assert length > 0
    assert stranger.execute("select count(*) from theirs").get == 0
    stranger.close()
    assert sent(database) == 10


def test_writing_ahead_beside_senders(database: Database) -> None:
    """Of what others send meanwhile nothing is overwritten, however often the log is cut off."""
    others = [Database(database.path) for _ in range(2)]
    threads = [threading.Thread(target=send, args=(each, 200)) for each in others]
    for thread in threads:
        thread.start()
    cuts = 0
    stranger = apsw.Connection(str(database.path))
    while any(thread.is_alive() for thread in threads):
        busy, *_ = stranger.execute("pragma wal_checkpoint(truncate)").fetchall()[0]
        cuts += not busy
        opened(database).checkpoints.run_once()
    for thread in threads:
        thread.join()
    stranger.close()
    assert cuts > 5
    for each in others:
        each.close()
    database.close()
    assert sent(database) == 400


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as place:
        yield place


def test_a_disk_without_room_for_it(disk: Path, eventually: Callable[..., None]) -> None:
    """The database opens all the same, and when there is room the log takes its share."""
    others = fill(disk, leave=RESERVE // 2)
    database = Database(disk / "jobs.db")
    database.open()
    assert not is_whole(database)
    assert free_bytes(disk) == 0
    others.unlink()
    eventually(opened(database).checkpoints.run_once)
    assert is_whole(database)
    send(database, 10)
    assert sent(database) == 10
    database.close()
