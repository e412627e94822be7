"""How a job stands at one moment, for people and programs that look."""

from __future__ import annotations

from msgspec import Struct

from ropeway.matching import view
from ropeway.message import Failure, JobRecord
from ropeway.progress import Progress
from ropeway.states import State


class Snapshot(Struct, frozen=True, kw_only=True):
    """How a job stands. `view` says more than `state` of one that is queued: scheduled, retrying.

    Dates are in seconds since the Unix epoch. `error` is that of the last attempt that failed,
    with its traceback as text; `progress` what the task said last.
    """

    id: str
    task: str
    queue: str
    state: State
    view: str
    attempt: int
    failures: int
    losses: int
    releases: int
    enqueued: float
    due: float
    started: float | None
    finished: float | None
    error: Failure | None
    progress: Progress | None
    key: str | None
    tags: tuple[str, ...]
    headers: dict[str, str]


def snapshot_of(job: JobRecord, progress: Progress | None, now: float) -> Snapshot:
    """Put together what is kept of a job."""
    message = job.message
    return Snapshot(
        id=message.id,
        task=message.task,
        queue=message.queue,
        state=job.state,
        view=view(job, now),
        attempt=job.attempt,
        failures=job.failures,
        losses=job.losses,
        releases=job.releases,
        enqueued=job.enqueued,
        due=job.due,
        started=job.started,
        finished=job.finished,
        error=job.error,
        progress=progress,
        key=message.key,
        tags=message.terms.tags if message.terms is not None else (),
        headers=message.headers,
    )
