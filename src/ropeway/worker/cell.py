"""What a child is doing, in memory that survives the child's death by SIGKILL."""

from __future__ import annotations

import faulthandler
import mmap
import os
import tempfile

SLOTS = 4096
"""Calls that one child can hold at once, waiting or running."""

PLACES = 1024
"""Where calls are stepped: the event loop is place 0, each thread another."""


_SIZE = SLOTS + 2 * PLACES
_LONGEST_DUMP = 60_000


class Cell:
    """Which calls have started, and which is being stepped at each place.

    The child writes before user code runs; its supervisor reads when the child is dead.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, _SIZE)
        whole = memoryview(self._memory)
        self._started = whole[:SLOTS]
        self._stepped = whole[SLOTS:].cast("H")

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

    def enter(self, place: int, slot: int) -> None:
        """User code of the call in `slot` is about to run at `place`."""
        self._started[slot] = 1
        self._stepped[place] = slot + 1

    def leave(self, place: int) -> None:
        """No user code runs at `place` now."""
        self._stepped[place] = 0

    def clear(self, slot: int) -> None:
        """The slot is given to another call."""
        self._started[slot] = 0

    def started(self, slot: int) -> bool:
        """Whether the call in this slot has run any user code."""
        return self._started[slot] == 1

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
        self._started.release()
        self._stepped.release()
        self._memory.close()
        os.close(self.descriptor)
