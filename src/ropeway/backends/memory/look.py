"""Finding jobs for people, by a look at each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ropeway.backends.memory.job import MemoryJob
from ropeway.broker import QueueStats
from ropeway.message import JobRecord
from ropeway.states import State
from ropeway.store import Cause, Causes, Count, Filter, Found, id_range

Jobs = Mapping[str, MemoryJob]


def search(jobs: Jobs, which: Filter, before: str | None, limit: int) -> Found:
    """List jobs, newest first."""
    found = list(_matching(jobs, which, before))
    page = found[:limit]
    older = page[-1].message.id if page and len(found) > limit else None
    return Found(jobs=page, older=older, examined=len(jobs), total=len(jobs))


def count(jobs: Jobs, which: Filter, cap: int) -> Count:
    """Count jobs, at most up to `cap`."""
    number = sum(1 for _ in _matching(jobs, which, None))
    return Count(number=min(cap, number), whole=number <= cap)


def causes(jobs: Jobs, which: Filter, limit: int) -> Causes:
    """Group settled jobs that did not succeed by their state and their error's fingerprint."""
    groups: dict[tuple[State, str], list[JobRecord]] = {}
    for record in _matching(jobs, which, None):
        if record.state.final and record.state is not State.SUCCEEDED:
            cause = record.error.fingerprint if record.error else ""
            groups.setdefault((record.state, cause), []).append(record)
    found = [
        Cause(newest=group[0], number=len(group), oldest_id=group[-1].message.id)
        for group in groups.values()
    ]
    found.sort(key=lambda cause: -cause.number)
    return Causes(found=found[:limit], whole=len(found) <= limit)


def matches(record: JobRecord, which: Filter) -> bool:
    """Tell whether a job is one of those that were asked for, whatever its id."""
    cause = record.error.fingerprint if record.error else ""
    return (
        (which.state is None or record.state is which.state)
        and (which.task is None or record.message.task == which.task)
        and (which.queue is None or record.message.queue == which.queue)
        and (which.error is None or (record.state.final and cause == which.error))
    )


def _matching(jobs: Jobs, which: Filter, before: str | None) -> Iterator[JobRecord]:
    low, high = id_range(which, before)
    for job_id in sorted(jobs, reverse=True):
        if low <= job_id < high and matches(record := jobs[job_id].record(), which):
            yield record


def stats(queue: str, jobs: Sequence[MemoryJob], cap: int, now: float) -> QueueStats:
    """Count what of these open jobs is in a queue, each up to a cap."""
    mine = [job for job in jobs if job.message.queue == queue]
    waiting = [job.due for job in mine if job.state is State.QUEUED]
    ready = sum(due <= now for due in waiting)
    return QueueStats(
        queue=queue,
        ready=min(cap, ready),
        delayed=min(cap, len(waiting) - ready),
        leased=min(cap, len(mine) - len(waiting)),
        oldest_due=min(waiting, default=None),
    )


def peek(jobs: Jobs, queue: str, limit: int) -> list[JobRecord]:
    """Return what waits in a queue, by due time."""
    waiting = [job for job in jobs.values() if job.state is State.QUEUED]
    mine = [job for job in waiting if job.message.queue == queue]
    mine.sort(key=lambda job: (job.due, job.serial))
    return [job.record() for job in mine[:limit]]
