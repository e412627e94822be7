"""Who writes next, among processes: first come, first served, by two file locks.

SQLite's own lock is not fair: a process that writes all the time starves one that writes now and
then. Whoever wants to write holds `turn` while waiting for `write`, so a writer that has just
finished finds the turn taken and goes behind.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

PATIENCE = 20.0
_FIRST_NAP, _LONGEST_NAP = 0.00002, 0.001


class Turnstile:
    """A fair lock between processes; one thread of this process may use it at a time.

    `contended` tells whether another process was waiting when this one last left.
    """

    def __init__(self, database: Path) -> None:
        self._turn = _open(database.with_name(database.name + "-turn"))
        self._write = _open(database.with_name(database.name + "-write"))
        self.contended = False

    def enter(self, patience: float = PATIENCE) -> bool:
        """Wait at most `patience` seconds to be the one that writes; False if it is not to be."""
        deadline = time.monotonic() + patience
        if not _lock(self._turn, deadline):
            return False
        try:
            return _lock(self._write, deadline)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def leave(self) -> None:
        """Let the next one in."""
        self.contended = not _try(self._turn)
        if not self.contended:
            fcntl.flock(self._turn, fcntl.LOCK_UN)
        fcntl.flock(self._write, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the locks and their files up."""
        os.close(self._turn)
        os.close(self._write)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _try(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock(lock: int, deadline: float) -> bool:
    # Tries, not a blocking lock: that one could not be given up when a stopped process holds it.
    nap = _FIRST_NAP
    while not _try(lock):
        if time.monotonic() >= deadline:
            return False
        time.sleep(nap)
        nap = min(_LONGEST_NAP, nap * 1.5)
    return True
