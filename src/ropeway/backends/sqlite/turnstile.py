"""Who writes next, among processes: first come, first served, by two file locks.

SQLite's own lock is not fair: a process that writes all the time starves one that writes now and
then. Whoever wants to write holds `turn` while waiting for `write`, so a writer that has just
finished finds the turn taken and goes behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from pathlib import Path

PATIENCE = 20.0
OVERTAKE = 1.0
"""Seconds after which one who waits for the turn goes past whoever keeps it, dead slow or stopped."""

_FIRST_NAP, _LONGEST_NAP, _LONGEST_NAP_OF_ALL = 0.00002, 0.001, 0.01
_NOW = fcntl.LOCK_EX | fcntl.LOCK_NB
_LOCKS = Path("/proc/locks")


class Turnstile:
    """A fair lock between processes; one thread of this process may use it at a time.

    The kernel takes both locks from a process that dies. From one that is stopped only the turn
    can be taken; while it holds `write` it is in the middle of a transaction.
    """

    def __init__(self, database: Path) -> None:
        self._turn = _open(database.with_name(database.name + "-turn"))
        self._write = _open(database.with_name(database.name + "-write"))
        self._stuck = False

    def enter(self, patience: float = PATIENCE) -> bool:
        """Wait at most `patience` seconds to be the one that writes; False if it is not to be."""
        if self._enter_now():
            return True
        start = time.monotonic()
        has_turn = _lock(self._turn, start, 0.0 if self._stuck else min(patience, OVERTAKE))
        # One that was stopped may keep the turn for long: it is waited for once, not every time.
        self._stuck = not has_turn and (self._stuck or patience > OVERTAKE)
        if not has_turn and not self._stuck:
            return False
        try:
            return _lock(self._write, start, patience)
        finally:
            if has_turn:
                fcntl.flock(self._turn, fcntl.LOCK_UN)

    def _enter_now(self) -> bool:
        try:
            fcntl.flock(self._turn, _NOW)
        except BlockingIOError:
            return False
        try:
            fcntl.flock(self._write, _NOW)
        except BlockingIOError:
            return False
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)
        return True

    def leave(self) -> None:
        """Let the next one in."""
        fcntl.flock(self._write, fcntl.LOCK_UN)

    def contended(self) -> bool:
        """Whether another waits for its turn, while this one writes."""
        if not _try(self._turn):
            return True
        fcntl.flock(self._turn, fcntl.LOCK_UN)
        return False

    def writer(self) -> str:
        """Name who is writing, for people, and whether it was stopped."""
        with contextlib.suppress(OSError, ValueError):
            pid = _holder(self._write)
            return _described(pid) if pid else "a process of another container"
        return "another process"

    def close(self) -> None:
        """Give the locks and their files up."""
        os.close(self._turn)
        os.close(self._write)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _try(lock: int) -> bool:
    try:
        fcntl.flock(lock, _NOW)
    except BlockingIOError:
        return False
    return True


def _lock(lock: int, start: float, patience: float) -> bool:
    # Tries, not a blocking lock: that one could not be given up when a stopped process holds it.
    nap = _FIRST_NAP
    while not _try(lock):
        waited = time.monotonic() - start
        if waited >= patience:
            return False
        time.sleep(nap)
        # Whoever has waited long hurries nobody by trying a thousand times a second.
        nap = min(_LONGEST_NAP if waited < OVERTAKE else _LONGEST_NAP_OF_ALL, nap * 1.5)
    return True


def _holder(lock: int) -> int | None:
    """The process that holds the lock on an open file: see proc_locks(5)."""
    inode = os.fstat(lock).st_ino
    held = re.compile(rf"^\d+: FLOCK .* (\d+) [0-9a-f]+:[0-9a-f]+:{inode} ", re.MULTILINE)
    found = held.search(_LOCKS.read_text())
    return int(found[1]) if found else None


def _described(pid: int) -> str:
    name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
    return f"process {pid} ({name}{', stopped' if rest.split()[0] in 'Tt' else ''})"
