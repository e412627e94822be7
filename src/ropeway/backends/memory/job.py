"""One job as the memory backend has it."""

from __future__ import annotations

from msgspec import Struct

from ropeway.message import Delivery, Failure, Fence, JobRecord, Message
from ropeway.states import State

Entry = tuple[float, int, str]
"""A place in an order, the order of publishing, and the job's id."""


class MemoryJob(Struct, kw_only=True):
    """A message, its counters, and where it stands.

    `place` is what it is ordered by: its due time, or the later time at which its key was free.
    `entry` is its one place among those that wait; None while it has none.
    """

    message: Message
    serial: int
    enqueued: float
    due: float
    place: float
    entry: Entry | None = None
    state: State = State.QUEUED
    version: int = 1
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    releases: int = 0
    unknown: int = 0
    holder: str | None = None
    lease_until: float = 0.0
    started: float | None = None
    finished: float | None = None
    purge: float = 0.0
    settled: bytes | None = None
    value: bytes | None = None
    error: Failure | None = None
    cancelling: bool = False
    keep_cancelled: float = 0.0

    def delivery(self, holder: str) -> Delivery:
        """Return what its holder is handed."""
        return Delivery(
            message=self.message,
            fence=Fence(self.message.id, self.attempt, holder),
            failures=self.failures,
            losses=self.losses,
            releases=self.releases,
            unknown=self.unknown,
            enqueued=self.enqueued,
            due=self.due,
        )

    def record(self) -> JobRecord:
        """Return what is told of it."""
        return JobRecord(**{name: getattr(self, name) for name in JobRecord.__struct_fields__})
