"""Copies of a database that others use, and what is refused when one is put back."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from ropeway.backends.sqlite import Blocking, Database, SqliteBackend
from ropeway.backends.sqlite import backup as backups
from ropeway.backends.sqlite.backup import backup, inspect, restore
from ropeway.claims import Claim
from ropeway.errors import BackendUnavailable, Backpressure, Refused, RopewayError
from ropeway.ids import new_id
from ropeway.message import Message
from ropeway.stepping import step
from ropeway.transition import Transition
from tests.conftest import Eventually
from tests.disks import fill, small_disk

SENDER = """
import os, sys
from pathlib import Path
from ropeway.backends.sqlite import Blocking, Database, SqliteBackend
from ropeway.ids import new_id
from ropeway.message import Message
from ropeway.stepping import step
from ropeway.transition import Transition
database = Database(Path(sys.argv[1]))
backend = SqliteBackend(database, Blocking(database))
while True:
    message = Message(id=new_id(), task="t", body=bytes(2000))
    (answer,) = step(backend.commit([Transition(publish=(message,))]))
    assert answer.ok
    os.write(1, message.id.encode() + b"\\n")
"""


def backend_on(path: Path) -> SqliteBackend:
    database = Database(path)
    return SqliteBackend(database, Blocking(database))


def filled(path: Path, jobs: int = 30) -> None:
    """Make a database with jobs that wait and one that runs."""
    backend = backend_on(path)
    messages = [Message(id=new_id(), task="t", body=bytes(500)) for _ in range(jobs)]
    step(backend.commit([Transition(publish=(message,)) for message in messages]))
    step(backend.receive([Claim(queue="default", n=1)], "holder", 3600))
    step(backend.close())


def quiet(done: int, pages: int) -> None:
    """Hear of progress."""


def ids(path: Path) -> set[str]:
    """Return the ids that a file holds."""
    connection = apsw.Connection(str(path))
    try:
        return {str(row[0]) for row in connection.execute("select id from job")}
    finally:
        connection.close()


def test_everything_acknowledged_is_in_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    """However many others write meanwhile; and they go on."""
    monkeypatch.setattr(backups, "_PAGES", 5)
    path, log = tmp_path / "jobs.db", tmp_path / "acknowledged"
    filled(path)
    with log.open("wb") as sink:
        senders = [
            subprocess.Popen([sys.executable, "-c", SENDER, path], stdout=sink) for _ in range(2)
        ]
    try:
        eventually(lambda: log.stat().st_size > 50 * 37)
        steps: list[int] = []
        for number in range(4):
            before = log.read_text().splitlines()
            made = backup(path, tmp_path / f"{number}.db", lambda done, _: steps.append(done))
            assert len(steps) > 5 * (number + 1)
            assert set(before) <= ids(tmp_path / f"{number}.db")
            assert made.jobs == len(ids(tmp_path / f"{number}.db"))
            size = log.stat().st_size
            eventually(lambda size=size: log.stat().st_size > size)  # type: ignore[misc]
    finally:
        for sender in senders:
            sender.kill()
            sender.wait()
    assert not list(tmp_path.glob("*.part*"))


def test_a_copy_is_a_database(tmp_path: Path) -> None:
    """With all that waits; what ran when it was made can be claimed at once."""
    filled(tmp_path / "jobs.db")
    made = backup(tmp_path / "jobs.db", tmp_path / "copy.db", quiet)
    assert (made.jobs, made.file) == (30, str(tmp_path / "copy.db"))
    assert restore(tmp_path / "copy.db", tmp_path / "new" / "jobs.db") is None
    backend = backend_on(tmp_path / "new" / "jobs.db")
    assert len(step(backend.receive([Claim(queue="default", n=50)], "another", 60))) == 30
    step(backend.close())


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """Unless asked for, and the database itself never."""
    filled(tmp_path / "jobs.db")
    (tmp_path / "copy.db").write_text("of someone else")
    with pytest.raises(Refused, match="there is a file"):
        backup(tmp_path / "jobs.db", tmp_path / "copy.db", quiet)
    assert (tmp_path / "copy.db").read_text() == "of someone else"
    with pytest.raises(Refused, match="the database itself"):
        backup(tmp_path / "jobs.db", tmp_path / "jobs.db", quiet, overwrite=True)
    backup(tmp_path / "jobs.db", tmp_path / "copy.db", quiet, overwrite=True)
    assert inspect(tmp_path / "copy.db").jobs == 30


def test_a_full_disk_leaves_no_half_a_copy(tmp_path: Path) -> None:
    """Nothing is there under the name, and nothing beside it."""
    filled(tmp_path / "jobs.db", jobs=2000)
    with small_disk(tmp_path / "disk", 4) as disk:
        fill(disk, leave=300_000).touch()
        with pytest.raises(Backpressure):
            backup(tmp_path / "jobs.db", disk / "copy.db", quiet)
        assert [path.name for path in disk.iterdir()] == ["of-another-program"]


def test_restore_keeps_what_was_there(tmp_path: Path) -> None:
    """With what its log held."""
    path = tmp_path / "jobs.db"
    filled(path)
    backup(path, tmp_path / "copy.db", quiet)
    filled(path, jobs=5)
    aside = restore(tmp_path / "copy.db", path)
    assert aside is not None and re.fullmatch(r"jobs\.db\.before-\d{8}T\d{6}", aside.name)
    assert len(ids(aside)) == 35
    assert len(ids(path)) == 30


@pytest.mark.parametrize("how", ["working", "stopped"])
def test_restore_is_refused_while_somebody_has_it_open(
    tmp_path: Path, how: str, eventually: Eventually
) -> None:
    """A process that rests too; it is named, and nothing is changed."""
    path = tmp_path / "jobs.db"
    filled(path)
    backup(path, tmp_path / "copy.db", quiet)
    program = SENDER.replace("while True:", "for _ in range(1):") + "sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None and other.stdout.readline()
        if how == "stopped":
            other.send_signal(signal.SIGSTOP)
        with pytest.raises(Refused, match=f"process {other.pid} has the database open"):
            restore(tmp_path / "copy.db", path)
        assert len(ids(path)) == 31
    finally:
        other.kill()
        other.communicate()
    restore(tmp_path / "copy.db", path)  # its death leaves no lock behind
    assert len(ids(path)) == 30
    assert sorted(p.name for p in tmp_path.glob("*.part")) == []


def damaged(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(4096 * 3))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (damaged, "damaged"),
        (lambda path: path.write_bytes(b"text" * 100), "no SQLite database"),
        (lambda path: path.write_bytes(path.read_bytes()[:9000]), "damaged"),
        (lambda path: Path(f"{path}-wal").write_bytes(b"log"), "a log beside it"),
        (lambda path: path.unlink(), "cannot read"),
    ],
)
def test_what_is_no_copy_is_not_restored(tmp_path: Path, spoil: object, says: str) -> None:
    """And the database stays as it is."""
    assert callable(spoil)
    filled(tmp_path / "jobs.db")
    backup(tmp_path / "jobs.db", tmp_path / "copy.db", quiet)
    spoil(tmp_path / "copy.db")
    with pytest.raises(BackendUnavailable, match=says):
        restore(tmp_path / "copy.db", tmp_path / "jobs.db")
    assert len(ids(tmp_path / "jobs.db")) == 30


def test_a_copy_of_another_program_is_not_restored(tmp_path: Path) -> None:
    """Nor is one that only a newer version reads."""
    filled(tmp_path / "jobs.db")
    backup(tmp_path / "jobs.db", tmp_path / "copy.db", quiet)
    connection = apsw.Connection(str(tmp_path / "copy.db"))
    connection.execute("update meta set value = 999 where name = 'needs'")
    connection.execute("pragma user_version = 999; pragma journal_mode = delete")
    connection.close()
    other = apsw.Connection(str(tmp_path / "other.db"))
    other.execute("create table t (x)")
    other.close()
    with pytest.raises(BackendUnavailable, match="newer ropeway"):
        inspect(tmp_path / "copy.db")
    with pytest.raises(RopewayError, match="not ropeway's"):
        inspect(tmp_path / "other.db")


def test_a_damaged_database_can_be_replaced(tmp_path: Path) -> None:
    """It is the reason to have copies."""
    path = tmp_path / "jobs.db"
    filled(path)
    backup(path, tmp_path / "copy.db", quiet)
    path.write_bytes(os.urandom(20_000))
    assert restore(tmp_path / "copy.db", path) is not None
    assert len(ids(path)) == 30
