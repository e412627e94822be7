"""Hints between processes on one machine: files that are touched, and inotify that tells.

A waiter makes a file named after what it waits for; whoever commits a change touches the files of
the names that changed, if they are there. A hint may be lost: the waiter looks by itself too.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import select
import struct
import time
import urllib.parse
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from ropeway.backends.sqlite.libc import libc
from ropeway.message import JOB_PREFIX

IN_ATTRIB, IN_DELETE_SELF, IN_IGNORED = 0x4, 0x400, 0x8000
_EVENT = struct.Struct("iIII")
_FEW = 3
_FORGOTTEN_AFTER = 10.0
_STALE_AFTER = 86_400.0
POLL = 0.25
"""Seconds after which a waiter looks by itself, whether hinted or not."""


@functools.lru_cache(256)
def file_name(name: str) -> str:
    """The hint file of a name; any text is allowed in a queue's name, not in a file's."""
    return urllib.parse.quote(name, safe="")[:200]


def folder_of(database: Path) -> Path:
    """Where the hints of a database are."""
    return database.with_name(database.name + "-hints")


def touch(folder: str, changed: AbstractSet[str]) -> None:
    """Tell the waiters of `changed`, if there are any."""
    if len(changed) > _FEW:
        try:
            present = os.listdir(folder)
        except OSError:
            return
        files = [name for name in present if urllib.parse.unquote(name) in changed]
    else:
        files = list(map(file_name, changed))
    for file in files:
        path = f"{folder}/{file}"
        if os.access(path, os.F_OK):  # most often nobody waits, and an exception costs more
            # Whatever goes wrong here, the change itself must stand.
            with contextlib.suppress(OSError):
                os.utime(path)


def remove_stale(folder: Path) -> None:
    """Remove what crashed waiters left behind."""
    limit = time.time() - _STALE_AFTER
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < limit:
                path.unlink()


class Watch:
    """One waiter's view: the names it waited for lately, and which of them have been hinted.

    Belongs to one thread. Without inotify (another system, or no instance left) every look finds
    nothing, and the waiter's own polling does the work.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._last_wait: dict[str, float] = {}
        self._hinted: set[str] = set()
        self._spent: list[str] = []
        self.process = os.getpid()
        self.descriptor = -1
        self.descriptor = _inotify_init()

    def arm(self, names: Sequence[str]) -> list[str]:
        """Start watching `names`; return those that are new, which may have changed before."""
        while self._spent:
            self._remove(self._spent.pop())
        now = time.monotonic()
        fresh = [name for name in names if name not in self._last_wait]
        self._last_wait.update(dict.fromkeys(names, now))
        for name in fresh:
            self._add(name)
        if len(self._last_wait) > 64:
            self._forget(now - _FORGOTTEN_AFTER)
        return fresh

    def take(self, names: Sequence[str]) -> list[str]:
        """Return and clear the hints that have come for `names`."""
        self._read()
        found = [name for name in names if name in self._hinted]
        self._hinted.difference_update(found)
        # A job that has moved is most often at its end: its file goes, but not just now, when
        # the waiter is in a hurry. Another waiter of the name hears of that, and makes it again.
        self._spent += [name for name in found if name.startswith(JOB_PREFIX)]
        return found

    def block(self, timeout: float) -> None:
        """Wait until any hint comes, at most `timeout` seconds."""
        if self.descriptor < 0:
            time.sleep(min(timeout, 0.02))
            return
        poller = select.poll()
        poller.register(self.descriptor, select.POLLIN)
        poller.poll(max(0, timeout * 1000))

    def close(self) -> None:
        """Stop watching and remove the files."""
        self._forget(float("inf"))
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __del__(self) -> None:
        # Its thread or its event loop has ended without a word.
        if self.descriptor >= 0 and self.process == os.getpid():
            with contextlib.suppress(Exception):
                self.close()

    def _add(self, name: str) -> None:
        if self.descriptor < 0:
            return
        path = self._folder / file_name(name)
        try:
            if not os.path.isdir(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o666))
        except OSError:
            return  # without a file the waiter's own polling does the work
        mask = IN_ATTRIB | IN_DELETE_SELF
        number = libc().inotify_add_watch(self.descriptor, os.fsencode(path), mask)
        if number >= 0:
            self._names[number], self._numbers[name] = name, number

    def _read(self) -> None:
        if self.descriptor < 0:
            return
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.descriptor, 65_536)
            for start in range(0, len(data), _EVENT.size):
                # Events of a watched file carry no name, so all have the same size.
                number, mask, _, _ = _EVENT.unpack_from(data, start)
                name = self._names.get(number)
                if name is None:
                    continue
                self._hinted.add(name)
                if mask & (IN_IGNORED | IN_DELETE_SELF):
                    self._drop(name)

    def _drop(self, name: str) -> None:
        self._last_wait.pop(name, None)
        number = self._numbers.pop(name, None)
        if number is not None:
            self._names.pop(number, None)

    def _forget(self, before: float) -> None:
        for name in [name for name, last in self._last_wait.items() if last < before]:
            self._remove(name)

    def _remove(self, name: str) -> None:
        number = self._numbers.get(name)
        self._drop(name)
        self._hinted.discard(name)
        if number is not None:
            libc().inotify_rm_watch(self.descriptor, number)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._folder / file_name(name))


def _inotify_init() -> int:
    start = getattr(libc(), "inotify_init1", None)
    if start is None:
        return -1
    descriptor = int(start(os.O_NONBLOCK | os.O_CLOEXEC))
    if descriptor < 0 and ctypes.get_errno() not in (errno.EMFILE, errno.ENFILE):
        raise OSError(ctypes.get_errno(), "inotify_init1")
    return descriptor
