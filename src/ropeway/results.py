"""A job: the caller's handle on one call that was sent."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from ropeway import jobs
from ropeway.blobs import load
from ropeway.capabilities import require
from ropeway.codec import Undecodable
from ropeway.codecs import JSON
from ropeway.config import seconds
from ropeway.context import waiting_for
from ropeway.errors import (
    BodyLost,
    JobCancelled,
    JobNotFound,
    ResultMismatch,
    ResultTimeout,
    Stuck,
    TaskFailed,
    WaitRefused,
)
from ropeway.message import JobRecord, job_key
from ropeway.progress import decode as decode_progress
from ropeway.progress import progress_key
from ropeway.runs.feeding import run_in_place
from ropeway.runs.handle import Run
from ropeway.snapshot import Snapshot, snapshot_of
from ropeway.source import Stores
from ropeway.states import State
from ropeway.stepping import refuse_on_loop, step
from ropeway.store import Ending, Told
from ropeway.transition import Record
from ropeway.why import Why, gather, why

R_co = TypeVar("R_co", covariant=True)

_AT_ONCE = 0.001
"""Seconds after a send in which hardly any job has a result."""

_SOON = 0.01
"""Seconds after which one that was sent just now is looked at, in case it ended before that."""


class Job(Generic[R_co]):
    """One call that was sent; made by `send`, or for a known id by `Ropeway.job`.

    Keeps no connection and no state: every verb asks the store. What it returns is read as a
    `type`, or as what `type_of` says of its task.
    """

    __slots__ = ("_sent_at", "_source", "_type", "_type_of", "id")

    def __init__(
        self,
        source: Stores,
        job_id: str,
        type: Any = Any,
        type_of: Callable[[str], Any] | None = None,
        sent_at: float = -math.inf,
    ) -> None:
        self.id = job_id
        self._sent_at = sent_at
        self._source = source
        self._type, self._type_of = type, type_of

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def result(self, timeout: float | None = None) -> R_co:
        """Wait for the job and return what the task returned; see `aresult`.

        Raises `BlockingCall` on a running event loop.
        """
        refuse_on_loop("result", "job.aresult")
        return step(self.aresult(timeout))

    async def aresult(self, timeout: float | None = None) -> R_co:
        """Wait at most `timeout` seconds (None: for ever) and return what the task returned.

        Raises `TaskFailed` (with the task's own error as text) if the job ended otherwise, which is
        `JobCancelled` if it was cancelled, `ResultTimeout` if it has not ended, `JobNotFound` if
        nothing of it is kept, and, in a task, `WaitRefused` if all other slots of its kind in its
        process wait for jobs already. With a pair it waits also for what nothing is kept of yet.
        """
        deadline = self._deadline(timeout)
        ending = await self._told_soon(deadline) or await self._ending(deadline, timeout)
        return await self._unwrap(ending)

    async def _told_soon(self, deadline: float) -> Ending | None:
        """Listen for the end of a job that was sent just now: there is nothing to see of it yet."""
        if time.monotonic() - self._sent_at >= _AT_ONCE:
            return None
        store, names = self._source.store, [job_key(self.id)]
        await store.wait(names, 0.0)  # from now on it is heard of
        left = min(_SOON, deadline - self._source.clock.boot())
        if left <= 0:
            return None
        try:
            with waiting_for(self.id):
                return _told(await store.wait(names, left), 0)
        except (Stuck, WaitRefused):
            return None  # it may have ended all the same: whoever looks finds out

    async def _ending(self, deadline: float, timeout: float | None) -> Ending:
        """Look, and look again whenever the job may have changed, until it has ended."""
        job = await self._sent()
        if job is not None and job.record.state.final:
            return _ending_of(job)
        with waiting_for(self.id):
            while True:
                state, version = (job.record.state, job.version) if job else (State.QUEUED, 0)
                heard = await self._pause([job_key(self.id)], deadline, timeout, state)
                if (told := _told(heard, version)) is not None:
                    return told
                job = await (self._seen() if job else self._sent())
                if job is not None and job.record.state.final:
                    return _ending_of(job)

    async def _sent(self) -> jobs.Seen | None:
        """Return what is kept of the job; None if it may rest where nobody can look."""
        try:
            return await self._seen()
        except JobNotFound:
            if self._source.store.capabilities.recorded:
                raise
            return None

    def _deadline(self, timeout: float | None) -> float:
        return math.inf if timeout is None else self._source.clock.boot() + timeout

    async def _pause(
        self, names: list[str], deadline: float, timeout: float | None, state: State
    ) -> list[str]:
        left = deadline - self._source.clock.boot()
        if left <= 0:
            raise ResultTimeout(
                f"job {self.id} is {state} after {timeout} s",
                hint="is a worker running? start one with: ropeway worker",
            )
        return await self._source.store.wait(names, min(left, self._source.longest_wait))

    def watch(self, timeout: float | None = None) -> Iterator[Snapshot]:
        """Yield how the job stands, now and whenever that changes, up to its end; see `awatch`.

        Raises `BlockingCall` on a running event loop.
        """
        refuse_on_loop("watch", "job.awatch")
        seen: tuple[int, int] | None = None
        deadline = self._deadline(timeout)
        while (found := step(self._change(seen, deadline, timeout))) is not None:
            seen, snapshot = found
            yield snapshot
            if snapshot.state.final:
                return

    async def awatch(self, timeout: float | None = None) -> AsyncIterator[Snapshot]:
        """Yield how the job stands, now and whenever that changes, up to its end.

        Changes that follow each other quickly may be seen as one. Ends without a word if the
        record is gone meanwhile. Raises `ResultTimeout` after `timeout` seconds in all, and
        `JobNotFound` if nothing was kept of the job from the start.
        """
        seen: tuple[int, int] | None = None
        deadline = self._deadline(timeout)
        while (found := await self._change(seen, deadline, timeout)) is not None:
            seen, snapshot = found
            yield snapshot
            if snapshot.state.final:
                return

    async def _change(
        self, seen: tuple[int, int] | None, deadline: float, timeout: float | None
    ) -> tuple[tuple[int, int], Snapshot] | None:
        """Wait for versions of job and progress other than those `seen`; None if it is gone."""
        self._need_records("watching a job")
        keys = [job_key(self.id), progress_key(self.id)]
        while True:
            record, progress = await self._source.store.get(keys)
            state = State.QUEUED
            if record is not None:
                versions = record.version, progress.version if progress else 0
                if versions != seen:
                    return versions, await self._snapshot(record, progress)
                state = jobs.seen(record).record.state
            elif seen is not None:
                return None
            elif self._source.store.capabilities.recorded:
                raise jobs.unknown(self.id)
            with waiting_for(self.id):
                await self._pause(keys, deadline, timeout, state)

    def snapshot(self) -> Snapshot:
        """Return how the job stands, for people; raises `JobNotFound` if nothing is kept of it."""
        return step(self.asnapshot())

    async def asnapshot(self) -> Snapshot:
        """Return how the job stands, for people; raises `JobNotFound` if nothing is kept of it."""
        self._need_records("the record of a job")
        keys = [job_key(self.id), progress_key(self.id)]
        record, progress = await self._source.store.get(keys)
        if record is None:
            raise jobs.unknown(self.id)
        return await self._snapshot(record, progress)

    async def _snapshot(self, record: Record, progress: Record | None) -> Snapshot:
        report = decode_progress(progress.value) if progress is not None else None
        return snapshot_of(jobs.seen(record).record, report, await self._source.store.now())

    def status(self) -> State:
        """Return where the job is now; raises `JobNotFound` if nothing of it is kept."""
        return step(self.astatus())

    async def astatus(self) -> State:
        """Return where the job is now; raises `JobNotFound` if nothing of it is kept."""
        return (await self.arecord()).state

    def record(self) -> JobRecord:
        """Return all that is kept of the job; raises `JobNotFound` if that is nothing."""
        return step(self.arecord())

    async def arecord(self) -> JobRecord:
        """Return all that is kept of the job; raises `JobNotFound` if that is nothing."""
        self._need_records("the record of a job")
        return await self._look()

    async def _look(self) -> JobRecord:
        return (await self._seen()).record

    async def _seen(self) -> jobs.Seen:
        return await jobs.see(self._source.store, self.id)

    def _need_records(self, feature: str) -> None:
        require(self._source.store.capabilities, "store", feature)

    def why(self) -> Why:
        """Say why the job is not running; see `awhy`."""
        return step(self.awhy())

    async def awhy(self) -> Why:
        """Say why the job is not running, for people; raises `JobNotFound` if nothing is kept."""
        return why(await gather(self._source.store, await self.arecord()))

    def cancel(self) -> jobs.Cancelled:
        """Cancel the job; see `acancel`."""
        return step(self.acancel())

    async def acancel(self) -> jobs.Cancelled:
        """Cancel the job, and say what became of that.

        "cancelled": it was waiting, and nobody runs it. "asked": it is running, and its worker is
        told to interrupt it. "ended": it had ended before. Raises `JobNotFound`.
        """
        self._need_records("cancelling a job")
        return await jobs.cancel(self._source.store, self.id, self._source.settings.keep_failed)

    def retry(self, *, delay: float | str = 0.0, succeeded: bool = False) -> None:
        """Have the job run again; see `aretry`."""
        step(self.aretry(delay=delay, succeeded=succeeded))

    async def aretry(self, *, delay: float | str = 0.0, succeeded: bool = False) -> None:
        """Have the job, which has ended, run again under the same id, with all its retries.

        One that succeeded only if `succeeded` asks for it. Raises `JobNotFound`, and `Refused` if
        it has not ended, or somebody was quicker.
        """
        self._need_records("running a job again")
        job = await jobs.see(self._source.store, self.id)
        wait = seconds(delay, "delay")
        await jobs.retry(self._source.store, job, delay=wait, succeeded=succeeded)

    def remove(self) -> None:
        """Forget the job; see `aremove`."""
        step(self.aremove())

    async def aremove(self) -> None:
        """Forget the job, which has ended, its arguments and its result; `Refused` if it has not."""
        self._need_records("removing a job")
        await jobs.remove(self._source.store, await jobs.see(self._source.store, self.id))

    async def _unwrap(self, job: Ending) -> R_co:
        if job.state is State.CANCELLED:
            raise JobCancelled(
                f"job {self.id} ({job.task}) was cancelled",
                hint=f"to have it run again: ropeway jobs retry {self.id}",
            )
        if job.state is not State.SUCCEEDED:
            error = job.error
            what = f"{error.type}: {error.message}" if error else str(job.state)
            raise TaskFailed(
                f"job {self.id} ({job.task}) {job.state}: {what}",
                hint=f"see: ropeway jobs show {self.id}",
                type=error.type if error else "",
                traceback=error.traceback if error else "",
            )
        if job.value is None:
            return None  # type: ignore[return-value]  # what a task without a value returns
        kind = self._type
        if self._type_of is not None:
            kind = self._type_of(job.task)
        if (inner := run_in_place(job.value)) is not None:
            began: R_co = await Run[Any](self._source, inner, kind).aresult()
            return began
        value = JSON.decode(await self._load(job.value), kind)
        if isinstance(value, Undecodable):
            raise ResultMismatch(
                f"the result of job {self.id} is not a {kind}: {value.reason}",
                hint="the task's return annotation says otherwise than what it returned",
            )
        result: R_co = value
        return result

    async def _load(self, value: bytes) -> bytes:
        try:
            return await load(self._source.store, self.id, value)
        except BodyLost:
            await self.arecord()  # raises, if the job has been removed meanwhile
            raise


def _told(heard: Sequence[str], version: int) -> Ending | None:
    """Return the end that is told of, unless it was before the `version` that was seen."""
    told = (each.ending for each in heard if isinstance(each, Told))
    return next((ending for ending in told if ending.version > version), None)


def _ending_of(job: jobs.Seen) -> Ending:
    record = job.record
    return Ending(
        version=job.version,
        task=record.message.task,
        state=record.state,
        value=record.value,
        error=record.error,
    )
