"""What is declared, as one process knows it without asking each time."""

from __future__ import annotations

import time

from ropeway.bounds import Queue
from ropeway.routing import Router
from ropeway.store import Store
from ropeway.topology import Topology, load, stamp

LOOK_EVERY = 1.0
"""Seconds after which it is seen whether the options of queues have changed elsewhere."""


class Known:
    """The topology of one backend, for all handles that a process has on it."""

    def __init__(self) -> None:
        self.topology = Topology(-1, {}, [])
        self.router = Router((), ())
        self._until = 0.0
        self._changes = 0

    async def queues(self, store: Store) -> dict[str, Queue]:
        """Return the queues that have options."""
        while time.monotonic() >= self._until:
            changes = self._changes
            if await stamp(store) != self.topology.stamp:
                self.topology = await load(store)
                self.router = self.topology.router()
            if changes == self._changes:  # else another thread has changed it since
                self._until = time.monotonic() + LOOK_EVERY
        return self.topology.queues

    def seen(self, version: int) -> None:
        """The stamp has this version: look, if that is another one."""
        if version != self.topology.stamp:
            self.forget()

    def forget(self) -> None:
        """Look before it is used again: something has changed."""
        self._changes += 1
        self._until = 0.0
