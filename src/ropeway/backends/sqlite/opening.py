"""A database file at its opening: where it may lie, connections, SQLite's errors in our words."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import apsw

from ropeway.backends.sqlite import statements
from ropeway.backends.sqlite.filesystem import file_system
from ropeway.errors import BackendUnavailable, Backpressure, Indeterminate

FOREIGN = 5.0
"""Seconds for which a thread waits for a program that does not use the turnstile."""

_PRAGMAS = (
    "synchronous = full",
    "temp_store = memory",
    "wal_autocheckpoint = 0",  # see checkpoint.py
)
CACHE, READERS_CACHE = 16_000, 1_000
"""KiB of pages that a connection keeps. What a reader keeps is void at the next commit of another
connection, so that more would only take memory."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def identity(path: str) -> tuple[int, int] | None:
    """Tell one file from another that has the same name; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def connect(path: Path, cache: int = CACHE) -> apsw.Connection:
    """Open a connection with the settings that all of them have, and so many KiB of cache."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(int(1000 * FOREIGN))
    execute = connection.cursor().execute
    # No mmap_size: with several writing processes it has corrupted files elsewhere.
    for pragma in (*_PRAGMAS, f"cache_size = -{cache}"):
        execute(f"pragma {pragma}").fetchall()
    # Else a plan depends on the values too, and where a partial index is for what is not null a
    # statement is prepared anew for each of them.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    # The log stays when the last connection closes, and with it its share of the disk.
    connection.file_control(
        "main", apsw.SQLITE_FCNTL_PERSIST_WAL, ctypes.addressof(ctypes.c_int(1))
    )
    return connection


def refuse_network(path: Path) -> None:
    """Raise `BackendUnavailable` where the locks of SQLite do not hold."""
    found = file_system(path)
    if found is not None and found.over_network:
        raise BackendUnavailable(
            f"{path} is on a network file system ({found.kind}, mounted on {found.point}), where "
            "locks do not hold: two machines would damage the database",
            hint="use a disk of this machine, or a backend with a server",
        )


def void_leases_of_another_boot(connection: apsw.Connection) -> None:
    """After a restart of the machine no holder is alive."""
    execute = connection.cursor().execute
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
    if execute(statements.GET_META, ("boot",)).get != boot:
        execute("begin immediate")
        execute(statements.VOID_LEASES)
        execute(statements.SET_META, ("boot", boot))
        execute("commit")


class translated:  # noqa: N801  used like a function, as contextlib's are
    """Turns SQLite's errors into ropeway's; a class, because every transaction passes here."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, apsw.Error):
            translation = _translation(error)
            if translation is not None:
                raise translation from None


def _translation(error: apsw.Error) -> Exception | None:
    match error:
        case apsw.FullError():
            return Backpressure(
                "the disk is full: nothing was stored", hint="free space; then send again"
            )
        case apsw.BusyError():
            return BackendUnavailable(
                f"another program keeps the database locked: {error}",
                hint="close the program that has it open for writing",
            )
        case apsw.IOError():
            return Indeterminate(f"the disk reported an error: {error}")
        case apsw.CantOpenError() | apsw.CorruptError() | apsw.NotADBError() | apsw.ReadOnlyError():
            return BackendUnavailable(
                f"the database cannot be used: {error}", hint="run `ropeway doctor`"
            )
        case _:
            return None
