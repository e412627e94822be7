"""What a child is doing, in memory that outlives the child's death by SIGKILL."""

from __future__ import annotations

import faulthandler
import mmap
import os
import tempfile
import time

SLOTS = 4096
"""Calls that one child can hold at once, waiting or running."""

PLACES = 1024
"""Where calls are stepped: the event loop is place 0, each thread another."""

_SINCE, _WITHDRAWN, _STEPPED = 8 * SLOTS, SLOTS, 2 * PLACES
_SIZE = _SINCE + _WITHDRAWN + _STEPPED
_LONGEST_DUMP = 60_000

SEEN = 0.01
"""Seconds after which each side sees what the other has written; it takes a thousandth of that."""


class Cell:
    """Since when each call runs, which are withdrawn, and which is being stepped at each place.

    The child writes before user code runs; its supervisor reads whenever it likes, also when the
    child is blocked or dead. A call that the supervisor withdraws is either refused by `begin`, or
    is seen to have started `SEEN` seconds later: each side writes before it reads.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, _SIZE)
        whole = memoryview(self._memory)
        self._since = whole[:_SINCE].cast("d")
        self._withdrawn = whole[_SINCE : _SINCE + _WITHDRAWN]
        self._stepped = whole[_SINCE + _WITHDRAWN :].cast("H")

    @classmethod
    def create(cls) -> Cell:
        """Make the memory, under a descriptor that a child can inherit."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("ropeway-cell")
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, _SIZE)
        return cls(descriptor)

    # -- the child ------------------------------------------------------------------------

    def begin(self, slot: int) -> bool:
        """The call in `slot` starts now; False if it must not: it has been withdrawn."""
        self._since[slot] = time.monotonic()
        if self._withdrawn[slot]:
            self._since[slot] = 0.0
            return False
        return True

    def enter(self, place: int, slot: int) -> None:
        """User code of the call in `slot` is about to run at `place`."""
        self._stepped[place] = slot + 1

    def leave(self, place: int) -> None:
        """No user code runs at `place` now."""
        self._stepped[place] = 0

    # -- its supervisor -------------------------------------------------------------------

    def clear(self, slot: int) -> None:
        """The slot is given to another call."""
        self._since[slot] = 0.0
        self._withdrawn[slot] = 0

    def withdraw(self, slot: int) -> None:
        """The call in this slot must not start any more."""
        self._withdrawn[slot] = 1

    def since(self, slot: int) -> float:
        """Return when the call in this slot started, on the monotonic clock; 0 if it has not."""
        return self._since[slot]

    def stepped(self) -> frozenset[int]:
        """The slots of the calls whose code was running."""
        return frozenset(number - 1 for number in self._stepped if number)

    # Behind the marks there is a place for the words of a child whose loop is not to be reached.

    def dump_on(self, number: int) -> None:
        """Have this process write down its threads' stacks when it gets a signal, whatever it does."""
        os.lseek(self.descriptor, _SIZE, os.SEEK_SET)
        faulthandler.register(number, file=self.descriptor, all_threads=True)

    def clear_dump(self) -> None:
        """Forget what was written down."""
        os.ftruncate(self.descriptor, _SIZE)
        os.lseek(self.descriptor, _SIZE, os.SEEK_SET)  # both processes share the position

    def dump(self) -> str:
        """Return what was written down since."""
        return os.pread(self.descriptor, _LONGEST_DUMP, _SIZE).decode(errors="replace")

    def close(self) -> None:
        """Free the memory."""
        for view in (self._since, self._withdrawn, self._stepped):
            view.release()
        self._memory.close()
        os.close(self.descriptor)
