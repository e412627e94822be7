"""Who holds leases on a database, and which of them are dead: a lifeline for each."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from urllib.parse import unquote

from ropeway import lifeline
from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.hints import file_name
from ropeway.backends.sqlite.ops import Writing
from ropeway.store import queue_name

LOOK_EVERY = 0.25
"""Seconds between two looks for the dead, at most that often."""


class Holders:
    """The lifelines beside a database: this process's own, and those of others."""

    def __init__(self, database: Path) -> None:
        self._folder = database.with_name(database.name + "-holders")
        self._own: dict[str, tuple[Path, int]] = {}
        self._looked = 0.0

    def add(self, holder: str) -> str:
        """Make this process the first to hold on for `holder`; returns the path for the others."""
        if holder not in self._own:
            self._folder.mkdir(exist_ok=True)
            path = self._folder / file_name(holder)
            self._own[holder] = path, lifeline.make(path)
        return str(self._own[holder][0])

    def dead(self) -> list[tuple[str, int]]:
        """Return the holders that are provably dead, each with the lock that keeps it so."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY:
            return []
        self._looked = now
        try:
            names = os.listdir(self._folder)
        except OSError:
            return []
        own = {path.name for path, _ in self._own.values()}
        folder = str(self._folder)
        others = [name for name in names if name not in own]
        found = ((unquote(name), lifeline.take(f"{folder}/{name}")) for name in others)
        return [(holder, lock) for holder, lock in found if lock is not None]

    def bury(self, holder: str, lock: int, *, done: bool) -> None:
        """Forget a dead holder, if its leases are `done` with; else the next look finds it again."""
        if done:
            with contextlib.suppress(OSError):
                os.unlink(self._folder / file_name(holder))
        os.close(lock)

    def close(self) -> None:
        """End this process's own lifelines. Leases end by time again: others may work for them."""
        for path, lock in self._own.values():
            with contextlib.suppress(OSError):
                os.unlink(path)
            os.close(lock)
        self._own.clear()


def void_leases(holder: str, writing: Writing) -> int:
    """End the leases of a dead holder at once; return how many there were."""
    queues = writing.execute(sql.VOID_LEASES_OF, (holder,)).fetchall()
    writing.changed.update(queue_name(str(queue)) for (queue,) in queues)
    return len(queues)
