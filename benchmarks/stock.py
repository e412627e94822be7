"""Database files that hold very many jobs of one state, made in seconds.

One job is made by ropeway itself; SQL copies its row. Whatever columns the table has, a copy
differs from its original in its name, its number and its instants alone.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw

from benchmarks.contender import Contender
from benchmarks.session import Session

STATES = ("queued", "delayed", "finished")
_APART = 1e-5
"""Seconds between one job and the next: they look sent one after the other, the first one last."""

_INSTANTS = ("place", "due", "enqueued", "started", "finished", "purge")
_SPECIAL = {
    "serial": "serial + n",
    "id": "substr(id, 1, 24) || printf('%012x', n)",
    **{name: f"{name} - (:count - n + 1) * {_APART}" for name in _INSTANTS},
}


def stocked(contender: Contender, base: Path, state: str, count: int) -> Path:
    """Return a database with `count` jobs of a state, made once for all rounds."""
    path = base / f"stock-{state}-{count}.db"
    if not path.exists():
        with Session(contender, base) as session:
            _make_one(session, state)
            multiply(session.database, count)
            shutil.copyfile(session.database, path)
    return path


def _make_one(session: Session, state: str) -> None:
    if state == "queued":
        session.ask("send", 1)
    elif state == "delayed":
        session.ask("block", 0)
    else:
        worker = session.warm_up()
        worker.stop()


def multiply(path: Path, count: int) -> None:
    """Copy the first job until there are `count` more, and leave one closed file."""
    connection = apsw.Connection(str(path))
    try:
        execute = connection.cursor().execute
        columns = [row[1] for row in execute("pragma table_info(job)")]
        values = ", ".join(_SPECIAL.get(name, name) for name in columns)
        first = execute("select min(serial) from job").get
        last = execute("select max(serial) from job").get
        execute(
            "with recursive copies (n) as (values (:above) union all select n + 1 from copies "
            f"where n < :count) insert into job ({', '.join(columns)}) "
            f"select {values} from copies, job where serial = :first",
            {"above": last - first + 1, "count": last - first + count, "first": first},
        )
    finally:
        connection.close()
    settle_down(path)


def rows(path: Path) -> int:
    """Count the jobs of a database that is in use."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return int(connection.execute("select count(*) from job").get)
    finally:
        connection.close()


def settle_down(path: Path) -> None:
    """Move what is in the log into the file, so that it is read as after a new start."""
    connection = apsw.Connection(str(path))
    try:
        connection.cursor().execute("pragma wal_checkpoint(truncate)").fetchall()
        analysed = connection.cursor().execute(
            "select count(*) from sqlite_schema where name like 'sqlite_stat%'"
        )
        assert not analysed.get, "statistics of SQLite would steer its plans"
    finally:
        connection.close()
