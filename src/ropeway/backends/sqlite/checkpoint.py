"""Moving the log into the database, beside the commits and in one process at a time."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import apsw

from ropeway.backends.sqlite.turnstile import Turnstile

PAGES = 1_000
"""Pages in the log that are worth a checkpoint."""

_PATIENCE = 0.25
_TOO_LONG = 16_384
_logger = logging.getLogger("ropeway")


class Checkpointer:
    """A thread that is woken when the log has grown, and a lock that elects one among processes.

    SQLite's own checkpoints are done by whoever commits next, and that one waits for them. And the
    log starts over only if all of it was moved when a writer begins, which never happens beside
    writers that never rest. So most of it is moved while they go on, and the little that they
    added meanwhile while this one has their turn. Both are PASSIVE: no reader is waited for. Then
    the log's share of the disk is seen to, in case that somebody has cut the log off.
    """

    def __init__(
        self,
        path: Path,
        connect: Callable[[Path], apsw.Connection],
        reserve: Callable[[apsw.Connection], None],
    ) -> None:
        self._path, self._connect, self._reserve = path, connect, reserve
        self._woken = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._next = PAGES
        self.pages = 0

    def committed(self, _: object, __: str, pages: int) -> int:
        """Be told, after each commit, how many pages the log holds: apsw's hook."""
        if pages < self.pages:
            self._next = PAGES
        self.pages = pages
        if pages >= self._next:
            self._next = pages + PAGES
            self._wake()
        return apsw.SQLITE_OK

    def close(self) -> None:
        """Wait for the end of a checkpoint, and make no more."""
        self._closed = True
        self._woken.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def run_once(self) -> bool:
        """Move what the log holds; False if another process is doing it."""
        election = os.open(f"{self._path}-checkpoint", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(election, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._move()
        except BlockingIOError:
            return False
        finally:
            os.close(election)
        return True

    def _move(self) -> None:
        connection, turnstile = self._connect(self._path), Turnstile(self._path)
        try:
            _move_some(connection)
            if turnstile.enter(_PATIENCE):
                try:
                    left = _move_some(connection)
                    self._reserve(connection)
                finally:
                    turnstile.leave()
                if left > _TOO_LONG:
                    _logger.warning(
                        "the log of %s has grown to %d pages: somebody reads it all the time",
                        self._path,
                        left,
                    )
        finally:
            turnstile.close()
            connection.close()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="ropeway-sqlite-checkpoint", daemon=True
            )
            self._thread.start()
        self._woken.set()

    def _run(self) -> None:
        while True:
            self._woken.wait()
            self._woken.clear()
            if self._closed:
                return
            try:
                self.run_once()
            except apsw.BusyError:
                pass  # somebody opens or closes it just now
            except (apsw.Error, OSError) as error:
                # Nothing is lost: the log goes on growing, and the next one tries again.
                _logger.warning("the log of %s cannot be taken in: %s", self._path, error)


def _move_some(connection: apsw.Connection) -> int:
    """Move what no reader needs; return how many pages are left to be moved."""
    pages, moved = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    return pages - moved
