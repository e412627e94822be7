"""How a worker is started: what the command line says."""

from __future__ import annotations

import os

from msgspec import Struct

from ropeway.message import Kind
from ropeway.worker.limits import Wear


class WorkerOptions(Struct, frozen=True, kw_only=True):
    """How a worker is started. Without `queues` it serves every queue; 0 means one for each core.

    With `least` and `most` the number of children is between them, by load. `offers` are amounts of
    named resources, for calls that need some.
    """

    target: str
    queues: tuple[str, ...] | None = None
    children: int = 0
    least: int = 0
    most: int = 0
    loop_slots: int = 100
    thread_slots: int = 8
    cpu: int = 0
    offers: tuple[tuple[str, int], ...] = ()
    wear: Wear = Wear()
    health_host: str = "127.0.0.1"
    health_port: int | None = None
    health_file: str | None = None

    @property
    def size(self) -> int:
        """How many children there are at first, beside those for `cpu` calls."""
        return self.least or self.children or os.cpu_count() or 1

    @property
    def cpu_size(self) -> int:
        """How many children there are for `cpu` calls, if the app has such tasks."""
        return self.cpu or os.cpu_count() or 1

    @property
    def slots(self) -> dict[Kind, int]:
        """Calls that one child runs at once, by kind."""
        return {"loop": self.loop_slots, "threads": self.thread_slots}
