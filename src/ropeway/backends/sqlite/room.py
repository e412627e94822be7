"""Room on the disk: what the log has reserved for settles, and when nobody may send any more."""

from __future__ import annotations

import ctypes
import logging
import os
import time
from pathlib import Path

from ropeway.backends.sqlite.libc import libc

RESERVE = 8 * 2**20
"""Bytes on the disk that belong to the log, written or not: no other file can take them."""

MARGIN = 16 * 2**20
"""Free bytes below which nothing is sent: the database takes in the log, and needs some for it."""

PAGE = 4096
_logger = logging.getLogger("ropeway")

_KEEP_SIZE = 1
_LOOK_EVERY = 0.05


class Room:
    """Ballast: space that the log of a database holds, so that settles go on when the disk is full.

    Blocks are reserved beyond the log's end (fallocate(2), FALLOC_FL_KEEP_SIZE). Sends stop while
    there is still a margin, claims when half of the reserve is used, settles never by themselves.
    """

    def __init__(self, folder: Path, log: int) -> None:
        self._folder, self._log = str(folder), log
        self._looked = 0.0
        self._short = False
        self.free = MARGIN

    def reserve(self) -> None:
        """Have the log own its share of the disk, if the file system can do that."""
        call = getattr(libc(), "fallocate", None)
        if call is not None:
            call(self._log, _KEEP_SIZE, ctypes.c_long(0), ctypes.c_long(RESERVE))

    def for_messages(self) -> bool:
        """Whether the disk has room for more work."""
        now = time.monotonic()
        if now - self._looked > _LOOK_EVERY:
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
