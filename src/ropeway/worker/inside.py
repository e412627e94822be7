"""What an app in a child is connected by: the supervisor's one connection to the backend."""

from __future__ import annotations

import asyncio
import os

from ropeway.connect import Connecting
from ropeway.store import Backend
from ropeway.worker.lines import Door, LoopLine, ThreadLines
from ropeway.wrappers.batched import Batched
from ropeway.wrappers.observed import Observed
from ropeway.wrappers.remote import Remote

_PATIENCE = 1.0
"""Seconds that a thread waits for one reply: in between it hears of its time limit."""


class InsideConnection:
    """Takes the place of an app's `own` connection in a child; made on the child's event loop.

    Threads, and the child's loop, ask the supervisor. Another loop, which a task runs in its
    thread, has a connection of its own: a line that belongs to it would keep it alive when it has
    ended without a word. So has a process that a task forks: its parent's lines are not for two.
    """

    def __init__(self, own: Connecting, door: Door) -> None:
        self._own, self.events = own, own.events
        self.clock, self.longest_wait = own.clock, own.longest_wait
        self._process, self._loop = os.getpid(), asyncio.get_running_loop()
        capabilities = own.blocking().capabilities
        called = Batched(Remote(LoopLine(door), capabilities))
        blocking = Remote(ThreadLines(door), capabilities, patience=_PATIENCE)
        self._looped = _Shared(called, self.events)
        self._blocking = _Shared(blocking, self.events)

    def looped(self, *, own: bool = False) -> Backend:
        """Return the backend for the running event loop."""
        if self._forked() or asyncio.get_running_loop() is not self._loop:
            return self._own.looped(own=own)
        return self._looped

    def blocking(self) -> Backend:
        """Return the backend that works in the caller's own thread."""
        return self._own.blocking() if self._forked() else self._blocking

    def _forked(self) -> bool:
        return os.getpid() != self._process


class _Shared(Observed):
    """One for all tasks of a child: none of them closes it for the others."""

    async def close(self) -> None:
        pass
