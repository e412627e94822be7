"""Counts what this process does with SQLite. Python runs it at the start, by its name.

It looks at statements as SQLite reports them, of whichever library. A settle is told by what
happens to the data, not by the text of a statement: a job stops being in the state `running`.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.census import COUNTS, FOLDER, NAMES

_RUNNING = 1
_WRITES = ("insert", "update", "delete", "replace")
_connect = sqlite3.connect


class _Process:
    """The counts of this process; a fork starts anew."""

    memory: mmap.mmap | None = None
    counts = dict.fromkeys(NAMES, 0)
    lock = threading.Lock()


def _add(**more: int) -> None:
    with _Process.lock:
        if _Process.memory is None:
            path = Path(os.environ[FOLDER]) / f"{os.getpid()}-{time.time_ns()}"
            with open(path, "xb+") as file:
                file.truncate(COUNTS.size)
                _Process.memory = mmap.mmap(file.fileno(), COUNTS.size)
        for name, count in more.items():
            _Process.counts[name] += count
        COUNTS.pack_into(_Process.memory, 0, *_Process.counts.values())


def _after_fork() -> None:
    _Process.memory, _Process.lock = None, threading.Lock()
    _Process.counts = dict.fromkeys(NAMES, 0)


class _Connection:
    """What has happened in the transaction at hand, of many statements or of one alone."""

    def __init__(self) -> None:
        self.open = False
        self.wrote = False
        self.settles = 0

    def statement(self, sql: str) -> None:
        """A statement begins."""
        verb = sql.lstrip()[:8].lower()
        ends = verb.startswith(("commit", "end"))
        if verb.startswith("begin") or not self.open:
            self.wrote, self.settles = False, 0
            self.open = verb.startswith("begin")
        self.wrote |= verb.startswith(_WRITES)
        committed = self.wrote and (ends or not self.open)
        settling = ends and self.settles > 0
        _add(statements=1, commits=committed, settles=self.settles * ends, settling=settling)
        if ends or verb.startswith("rollback"):
            self.open = False

    def traced(self, event: dict[str, Any]) -> None:
        if not event["trigger"]:
            self.statement(event["sql"])

    def changed(self, update: Any) -> None:
        """A row changes, and this is what it was before."""
        if update.table_name == "job" and update.old is not None:
            state = _place_of_state(update.connection.filename)
            ran = update.old[state] == _RUNNING
            if ran and (update.new is None or update.new[state] != _RUNNING):
                self.settles += 1
                if not self.open:
                    _add(settles=1, settling=self.settles == 1)


_places: dict[str, int] = {}


def _place_of_state(path: str) -> int:
    if path not in _places:
        import apsw

        # A connection of its own: inside a hook the one at hand must not be used.
        hooks, apsw.connection_hooks = apsw.connection_hooks, []
        columns = apsw.Connection(path).execute("pragma table_info(job)").fetchall()
        apsw.connection_hooks = hooks
        _places[path] = [column[1] for column in columns].index("state")
    return _places[path]


def _watch(connection: Any) -> None:
    import apsw

    seen = _Connection()
    connection.trace_v2(apsw.SQLITE_TRACE_STMT, seen.traced, id=_watch)
    connection.preupdate_hook(seen.changed, id=_watch)


def _connect_and_watch(*arguments: Any, **options: Any) -> sqlite3.Connection:
    connection: sqlite3.Connection = _connect(*arguments, **options)
    connection.set_trace_callback(_Connection().statement)
    return connection


if FOLDER in os.environ:
    os.register_at_fork(after_in_child=_after_fork)
    sqlite3.connect = _connect_and_watch  # type: ignore[assignment]
    with contextlib.suppress(ImportError):
        import apsw

        apsw.connection_hooks.append(_watch)
