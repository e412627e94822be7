"""A database file at its opening: connections, tables, and SQLite's errors in ropeway's words."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from ropeway.backends.sqlite import statements
from ropeway.errors import BackendUnavailable, Backpressure, Indeterminate

FOREIGN = 5.0
"""Seconds for which a thread waits for a program that does not use the turnstile."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def identity(path: Path) -> tuple[int, int] | None:
    """Tell one file from another that has the same name; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def connect(path: Path) -> apsw.Connection:
    """Open a connection with the settings that all of them have."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(int(1000 * FOREIGN))
    execute = connection.cursor().execute
    # No mmap_size: with several writing processes it has corrupted files elsewhere.
    for pragma in ("synchronous = full", "cache_size = -16000", "temp_store = memory"):
        execute(f"pragma {pragma}").fetchall()
    return connection


def prepare(connection: apsw.Connection) -> None:
    """Make the tables if the file is new; raises `BackendUnavailable` if it is not ropeway's."""
    execute = connection.cursor().execute
    version = int(execute("pragma user_version").get)
    if version > statements.SCHEMA_VERSION:
        raise BackendUnavailable(
            f"the database has schema {version}, newer than this ropeway knows "
            f"({statements.SCHEMA_VERSION})",
            hint="install the newer ropeway here, or use another database",
        )
    if version == 0:
        if execute("select count(*) from sqlite_schema").get:
            raise BackendUnavailable(
                "the database belongs to another program: it has tables that are not ropeway's",
                hint="name a file of its own in the url",
            )
        execute("pragma journal_mode = wal").fetchall()
        execute("begin immediate")
        execute(statements.SCHEMA)
        execute(f"pragma user_version = {statements.SCHEMA_VERSION}")
        execute("commit")
    _void_leases_of_another_boot(execute)


def _void_leases_of_another_boot(execute: Callable[..., Any]) -> None:
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
    if execute(statements.GET_META, ("boot",)).get != boot:
        execute("begin immediate")
        execute(statements.VOID_LEASES)
        execute(statements.SET_META, ("boot", boot))
        execute("commit")


@contextlib.contextmanager
def translated() -> Any:
    """Turn SQLite's errors into ropeway's."""
    try:
        yield
    except apsw.FullError:
        raise Backpressure(
            "the disk is full: nothing was stored", hint="free space; then send again"
        ) from None
    except apsw.BusyError as error:
        raise BackendUnavailable(
            f"another program keeps the database locked: {error}",
            hint="close the program that has it open for writing",
        ) from None
    except apsw.IOError as error:
        raise Indeterminate(f"the disk reported an error: {error}") from None
    except (apsw.CantOpenError, apsw.CorruptError, apsw.NotADBError, apsw.ReadOnlyError) as error:
        raise BackendUnavailable(
            f"the database cannot be used: {error}", hint="run `ropeway doctor`"
        ) from None
