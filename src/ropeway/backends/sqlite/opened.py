"""What a process has open of a database: connections, locks, log and checkpoints, as one thing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import apsw

from ropeway.backends.sqlite import hints
from ropeway.backends.sqlite.checkpoint import Checkpointer
from ropeway.backends.sqlite.migrations import prepare
from ropeway.backends.sqlite.opening import (
    FOREIGN,
    READERS_CACHE,
    connect,
    identity,
    refuse_network,
    translated,
    void_leases_of_another_boot,
)
from ropeway.backends.sqlite.room import Room
from ropeway.backends.sqlite.turnstile import Turnstile
from ropeway.errors import BackendUnavailable

_LOOK_EVERY = 0.01
"""Seconds after which the file's name is looked at again: what is sent to a file in the moment of
its deletion is lost with it."""


class Opened:
    """One opening of a database: made whole by `open_database`, and closed whole."""

    def __init__(self, path: Path, turnstile: Turnstile) -> None:
        self._name = str(path)
        self.turnstile = turnstile
        self.writer, self.reader = connect(path), connect(path, READERS_CACHE)
        prepare(self.writer)
        void_leases_of_another_boot(self.writer)
        self.log = os.open(f"{path}-wal", os.O_RDWR | os.O_CLOEXEC)
        self.room = Room(path.parent, self.log)
        self.checkpoints = Checkpointer(path, connect, self.room.reserve)
        self.writer.set_wal_hook(self.checkpoints.committed)
        self.room.reserve(self.writer)
        self.cursor = self.writer.cursor()
        self.full, self._patience = True, FOREIGN
        self.in_doubt = False
        self._file = identity(self._name)
        self._looked, self._replaced = time.monotonic(), False

    def is_replaced(self) -> bool:
        """Whether another file, or none, has the name of the one that is open."""
        now = time.monotonic()
        if now - self._looked > _LOOK_EVERY:
            self._looked = now
            self._replaced = identity(self._name) != self._file
        return self._replaced

    def prepare(self, *, full: bool, patience: float) -> None:
        """Have the next commit flush the log, or leave it to whoever calls `flush`.

        It waits for so many seconds for a program that does not use the turnstile.
        """
        if full is not self.full:
            self.cursor.execute(f"pragma synchronous = {'full' if full else 'normal'}")
            self.full = full
        if patience != self._patience:
            self.writer.set_busy_timeout(int(1000 * patience))
            self._patience = patience

    def flush(self) -> None:
        """Have the log on the disk: all of it, so also what others wrote before."""
        os.fdatasync(self.log)

    def restore(self) -> None:
        """After an error of the disk: have everything in the database, and begin a new log.

        A kernel that could not write a page forgets that it has to. A later flush would succeed,
        and what follows in the log would be lost behind the hole with the next power cut.
        """
        self.writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self.in_doubt = False

    def close(self) -> None:
        """Close everything."""
        self.checkpoints.close()
        self.writer.close()
        self.reader.close()
        self.leave_alone()

    def leave_alone(self) -> None:
        """Close what a child made by fork may close: not the connections, they are its parent's."""
        self.turnstile.close()
        os.close(self.log)


def open_database(path: Path) -> Opened:
    """Open the file, and create it and its folder if need be.

    Raises `BackendUnavailable` if it cannot be used: no permission, another program's tables, a
    network file system, a newer schema, or somebody who keeps it locked.
    """
    refuse_network(path)
    try:
        _make_folder(path)
        turnstile = Turnstile(path)
        hints.remove_stale(hints.folder_of(path))
    except OSError as error:
        raise BackendUnavailable(
            f"cannot open the database {path}: {error.strerror or error}",
            hint="check the folder, its owner and the free space, or set another url",
        ) from None
    try:
        if not turnstile.enter():
            raise kept_locked(turnstile)
        try:
            with translated():
                return Opened(path, turnstile)
        finally:
            turnstile.leave()
    except BaseException:
        turnstile.close()
        raise


def kept_locked(turnstile: Turnstile) -> BackendUnavailable:
    """Say who does not let others write."""
    return BackendUnavailable(
        f"{turnstile.writer()} has kept the database locked for too long",
        hint="let it go on (kill -CONT) or end it (kill -KILL)",
    )


def _make_folder(path: Path) -> None:
    folder = path.parent
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / ".gitignore").write_text("*\n")
    hints.folder_of(path).mkdir(exist_ok=True)
