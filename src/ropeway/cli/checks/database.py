"""What is in the database, without making one or changing another program's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ropeway.broker import QueueStats
from ropeway.cli.checks.check import Check, failed
from ropeway.config import Settings
from ropeway.connect import Connection
from ropeway.errors import RopewayError
from ropeway.stepping import step
from ropeway.words import relative

_MAGIC = b"SQLite format 3\0"
_CAP = 100_000
_LONG = 60.0
_NO_FILE = Check("database", "ok", "none yet: the first send or worker makes it")


def database(path: Path) -> Check:
    """Whether the file is one of ropeway's, in a mode and a schema that fit."""
    try:
        header = _header(path)
        if header is None:
            return _NO_FILE
        if refusal := _unfit(path, header):
            return refusal
        # Only what looks right is opened: opening sets up whatever is missing.
        return _opened(path)
    except OSError as error:
        return Check("database", "fail", f"{path}: {error.strerror}", "check its owner and mode")
    except RopewayError as error:
        # Its hint may be to run the doctor.
        return Check("database", "fail", error.fact, "restore a backup, or move it out of the way")


def _header(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(100)
    except FileNotFoundError:
        return None


def _unfit(path: Path, header: bytes) -> Check | None:
    if not header:
        return Check("database", "warn", f"{path} is empty", "the first send or worker fills it")
    if not header.startswith(_MAGIC):
        remedy = "move it out of the way, or set another url"
        return Check("database", "fail", f"{path} is not an SQLite database", remedy)
    # Bytes 18 and 19: 1 is a rollback journal, 2 a write-ahead log. Ropeway never leaves 1 behind.
    if header[18:20] != b"\2\2":
        remedy = "set another url, unless you changed the mode of ropeway's own database"
        fact = f"{path} is not in WAL mode: another program made or changed it"
        return Check("database", "fail", fact, remedy)
    return None


def _opened(path: Path) -> Check:
    from ropeway.backends.sqlite import Database
    from ropeway.backends.sqlite.migrations import known

    opened = Database(path)
    try:
        mode = opened.read(lambda execute: execute("pragma journal_mode").get)
        schema = opened.read(lambda execute: execute("pragma user_version").get)
    finally:
        opened.close()
    size = os.path.getsize(path) / 2**20
    fact = f"journal mode {mode}, schema {schema}, {size:,.1f} MiB"
    if mode != "wal":
        return Check("database", "fail", fact, "the journal mode must be wal")
    if schema > known():
        remedy = f"this ropeway knows schema {known()} and works all the same: upgrade it soon"
        return Check("database", "warn", fact, remedy)
    return Check("database", "ok", fact)


def queues(settings: Settings) -> Check:
    """How many jobs wait, and whether somebody takes them."""
    backend = Connection.of(settings).blocking()
    try:
        found, now = step(backend.stats(cap=_CAP)), step(backend.now())
    except RopewayError as error:
        return failed("queues", error)
    finally:
        step(backend.close())
    return judged_queues(found, now)


def judged_queues(found: Sequence[QueueStats], now: float) -> Check:
    """Judge what waits in the queues."""
    ready = sum(stats.ready for stats in found)
    delayed = sum(stats.delayed for stats in found)
    leased = sum(stats.leased for stats in found)
    where = "1 queue" if len(found) == 1 else f"{len(found)} queues"
    fact = f"{ready:,} ready, {delayed:,} delayed, {leased:,} leased in {where}"
    if not found:
        return Check("queues", "ok", "nothing waits")
    oldest = min((s.oldest_due for s in found if s.oldest_due is not None), default=now)
    if ready and not leased and now - oldest > _LONG:
        remedy = "is a worker running for it? start one: ropeway worker"
        return Check(
            "queues", "warn", f"{fact}; the oldest was due {relative(now - oldest)}", remedy
        )
    return Check("queues", "ok", fact)
