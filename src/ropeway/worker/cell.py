"""Which calls of a child have started, in memory that survives the child's death by SIGKILL."""

from __future__ import annotations

import mmap
import os
import tempfile

SLOTS = 4096
"""Calls that one child can hold at once, waiting or running."""


class Cell:
    """One byte for each slot, shared by a child that writes and a supervisor that reads."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._bytes = mmap.mmap(descriptor, SLOTS)

    @classmethod
    def create(cls) -> Cell:
        """Make the memory, under a descriptor that a child can inherit."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("ropeway-cell")
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, SLOTS)
        return cls(descriptor)

    def mark(self, slot: int) -> None:
        """The call in this slot is about to run user code."""
        self._bytes[slot] = 1

    def clear(self, slot: int) -> None:
        """The slot is given to another call."""
        self._bytes[slot] = 0

    def started(self, slot: int) -> bool:
        """Whether the call in this slot has run any user code."""
        return self._bytes[slot] == 1

    def close(self) -> None:
        """Free the memory."""
        self._bytes.close()
        os.close(self.descriptor)
