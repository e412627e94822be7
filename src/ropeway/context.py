"""What a running task can know of itself."""

from __future__ import annotations

from contextvars import ContextVar

from msgspec import Struct

from ropeway.errors import RopewayError


class Running(Struct, frozen=True, kw_only=True):
    """The job that runs in this context. `deadline` is in seconds since the Unix epoch."""

    job_id: str
    task: str
    attempt: int
    deadline: float | None = None


running: ContextVar[Running] = ContextVar("ropeway_running")


class Current:
    """The job that the calling code runs in; outside of a task every field raises."""

    @property
    def job_id(self) -> str:
        """The job's id: the same over all its attempts, so a good idempotency key."""
        return self._running().job_id

    @property
    def task(self) -> str:
        """The task's name."""
        return self._running().task

    @property
    def attempt(self) -> int:
        """Grows with every hand-over of the job: a fencing token for what the task writes.

        After a power cut the number of an attempt that was cut off may come again.
        """
        return self._running().attempt

    @property
    def deadline(self) -> float | None:
        """When the task's `timeout` ends, in seconds since the Unix epoch, or None."""
        return self._running().deadline

    @staticmethod
    def _running() -> Running:
        found = running.get(None)
        if found is None:
            raise RopewayError(
                "no task is running here", hint="`current` has values inside a task only"
            )
        return found


current = Current()
