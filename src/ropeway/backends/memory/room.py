"""What there is room for: in queues that are bounded, and among the records that are kept."""

from __future__ import annotations

from collections.abc import Mapping

from ropeway.backends.memory.job import MemoryJob
from ropeway.states import State
from ropeway.store import queue_name
from ropeway.transition import Answer

Jobs = Mapping[str, MemoryJob]


def guard_room(jobs: Jobs, room: Mapping[str, int], fresh: Mapping[str, int]) -> Answer | None:
    """Refuse what is more than its queue has room for; `fresh` is how many come to each."""
    for queue in room.keys() & fresh.keys():
        waiting = _depth(jobs, queue)
        if waiting + fresh[queue] > room[queue]:
            key = queue_name(queue)
            return Answer(status="refused", reason="full", key=key, current=waiting)
    return None


def over(jobs: Jobs, state: State, newest: int, now: float) -> list[MemoryJob]:
    """The records of a state that need not be kept, those first whose time is over first."""
    mine = sorted((job for job in jobs.values() if job.state is state), key=_purge_time)
    too_many = max(0, len(mine) - newest)
    return mine[:too_many] + [job for job in mine[too_many:] if job.purge <= now]


def _depth(jobs: Jobs, queue: str) -> int:
    waiting = (job for job in jobs.values() if job.state is State.QUEUED)
    return sum(job.message.queue == queue for job in waiting)


def _purge_time(job: MemoryJob) -> float:
    return job.purge
