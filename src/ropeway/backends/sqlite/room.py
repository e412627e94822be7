"""Room on the disk: what belongs to the log for settles, and when nobody may send any more."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import apsw

RESERVE = 8 * 2**20
"""Bytes on the disk that belong to the log, used or not: no other file can take them."""

MARGIN = 16 * 2**20
"""Free bytes below which nothing is sent: the database takes in the log, and needs some for it."""

PAGE = 4096
_logger = logging.getLogger("ropeway")

_LOOK_EVERY = 0.05
_PIECE = 4 * PAGE
_ZEROS = memoryview(bytes(_PIECE))


class Room:
    """Ballast: space that the log of a database holds, so that settles go on when the disk is full.

    It is written ahead, with zeros, in which SQLite sees no frames. So a commit overwrites blocks
    that are there already, and a flush has nothing to say to the disk but the data. Sends stop while
    there is still a margin, claims when half of the reserve is used, settles never by themselves.
    """

    def __init__(self, folder: Path, log: int) -> None:
        self._folder, self._log = str(folder), log
        self._looked = 0.0
        self._short = False
        self.free = MARGIN

    def reserve(self, connection: apsw.Connection) -> None:
        """Have the log own its share of the disk, as far as there is room for it."""
        if not any(_holes(self._log)):
            return
        # Nobody makes the log longer or shorter while this connection is the one that writes.
        with contextlib.suppress(apsw.BusyError), _writing(connection):
            for start, end in _holes(self._log):
                with contextlib.suppress(OSError):  # full: the rest is written when it is not
                    _write_zeros(self._log, start, end)

    def for_messages(self, *, much: bool = False) -> bool:
        """Whether the disk has room for more work; it is looked at anew if that is `much`."""
        now = time.monotonic()
        if much or now - self._looked > _LOOK_EVERY:
            self._looked = now
            found = os.statvfs(self._folder)
            self.free = found.f_bavail * found.f_frsize
        return self.free >= MARGIN

    def for_claims(self, log_pages: int) -> bool:
        """Whether what is claimed now can be settled, too."""
        has_room = self.for_messages() or log_pages * PAGE <= RESERVE // 2
        if has_room is self._short:
            self._short = not has_room
            _logger.warning(
                "the disk has room again, and jobs are claimed"
                if has_room
                else "the disk is full: no more jobs are claimed, so that what runs can be settled"
            )
        return has_room


def _holes(log: int) -> Iterator[tuple[int, int]]:
    """Where the log's share has no written blocks: it reads as zeros there, or has ended before."""
    end = 0
    while (start := _seek(log, end, os.SEEK_HOLE, end)) < RESERVE:
        end = min(_seek(log, start, os.SEEK_DATA, RESERVE), RESERVE)
        yield start, end


def _seek(log: int, start: int, what: int, otherwise: int) -> int:
    try:
        return os.lseek(log, start, what)
    except OSError:  # it has nothing behind `start`
        return otherwise


@contextlib.contextmanager
def _writing(connection: apsw.Connection) -> Iterator[None]:
    connection.execute("begin immediate")
    try:
        yield
    finally:
        connection.execute("rollback")


def _write_zeros(log: int, start: int, end: int) -> None:
    # Linux keeps a piece that is written at once as one folio. The larger it is, the fewer of them
    # a commit has to touch; but all of it counts as written again whenever a part is.
    while start < end:
        size = min(_PIECE - start % _PIECE, end - start)
        start += os.pwrite(log, _ZEROS[:size], start)
