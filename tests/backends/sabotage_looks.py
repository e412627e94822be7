"""Backends with one defect each in what they tell: records, counts, lists, and of themselves."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ropeway.backends.memory.backend import MemoryBackend
from ropeway.backends.memory.job import MemoryJob
from ropeway.backends.memory.line import Line
from ropeway.backends.memory.look import matches
from ropeway.backends.memory.records import Records
from ropeway.broker import QueueStats
from ropeway.capabilities import Capabilities
from ropeway.decide import Keep
from ropeway.message import Delivery
from ropeway.states import State
from ropeway.store import Cause, Causes, Count, Filter, Found
from ropeway.transition import Answer, Drop, Finish, Put, Record, Transition

# -- records ---------------------------------------------------------------------------------------


class VersionsStay(MemoryBackend):
    """Counts a record when it is made."""

    def _write(self, put: Put) -> int | None:
        self._records.drop(Drop(put.key))
        return super()._write(put)


class LeavesOutTheAbsent(MemoryBackend):
    """`where key in (...)`."""

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        return [record for record in await super().get(keys) if record is not None]


class DropsNothing(MemoryBackend):
    """Leaves cleaning up to another day."""

    def _apply(self, transition: Transition) -> Answer:
        return super()._apply(replace(transition, drop=()))


class ExpectsNothing(MemoryBackend):
    """The last writer wins."""

    def _apply(self, transition: Transition) -> Answer:
        return super()._apply(replace(transition, expect={}))


class ConflictsSettle(MemoryBackend):
    """Guards the records with `expect`, and not what goes with them."""

    def _apply(self, transition: Transition) -> Answer:
        answer = super()._apply(transition)
        if answer.reason == "conflict" and transition.settle is not None:
            super()._apply(replace(transition, expect={}, put=(), drop=(), publish=()))
        return answer


class JobVersionsStay(MemoryBackend):
    """Counts the writes of records, and not those of jobs."""

    def _settle(self, transition: Transition) -> None:
        super()._settle(transition)
        if transition.fence is not None:
            self._jobs[transition.fence.id].version = 1

    def _lease(self, job: MemoryJob, holder: str, lease: float) -> Delivery:
        delivery = super()._lease(job, holder, lease)
        job.version = 1
        return delivery


# -- counts ----------------------------------------------------------------------------------------


class DelayedIsReady(MemoryBackend):
    """Counts all that wait as one."""

    def _count(self, queue: str, jobs: list[MemoryJob], cap: int) -> QueueStats:
        found = super()._count(queue, jobs, cap)
        return replace(found, ready=found.ready + found.delayed, delayed=0)


class CountsToTheEnd(MemoryBackend):
    """`count(*)`."""

    def _count(self, queue: str, jobs: list[MemoryJob], cap: int) -> QueueStats:
        return super()._count(queue, jobs, len(jobs))


class OldestOfTheDue(MemoryBackend):
    """Tells the oldest of what is due."""

    def _count(self, queue: str, jobs: list[MemoryJob], cap: int) -> QueueStats:
        found = super()._count(queue, jobs, cap)
        ahead = found.oldest_due is not None and found.oldest_due > self._clock.now()
        return replace(found, oldest_due=None) if ahead else found


class NamesWhatWaits(MemoryBackend):
    """Forgets queues of which everything is running."""

    async def stats(self, queues: Sequence[str] | None = None, cap: int = 0) -> list[QueueStats]:
        found = await super().stats(queues, cap)
        return found if queues else [each for each in found if each.oldest_due is not None]


# -- lists -----------------------------------------------------------------------------------------


class OldestFirst(MemoryBackend):
    """`order by id`."""

    async def search(self, which: Filter, before: str | None = None, limit: int = 50) -> Found:
        found = await super().search(which, before, len(self._jobs))
        return replace(found, jobs=found.jobs[::-1][:limit])


class LimitsBeforeItFilters(MemoryBackend):
    """Filters the page that it has fetched."""

    async def search(self, which: Filter, before: str | None = None, limit: int = 50) -> Found:
        page = await super().search(Filter(), before, limit)
        return replace(page, jobs=[record for record in page.jobs if matches(record, which)])


class ListsLag(MemoryBackend):
    """Lists what was written when the job was sent."""

    async def search(self, which: Filter, before: str | None = None, limit: int = 50) -> Found:
        found = await super().search(which, before, limit)
        stale = [replace(record, state=State.QUEUED) for record in found.jobs]
        return replace(found, jobs=stale)


class SearchesByWholeSeconds(MemoryBackend):
    """Keeps dates as numbers of seconds."""

    async def search(self, which: Filter, before: str | None = None, limit: int = 50) -> Found:
        since = None if which.since is None else float(int(max(which.since, 0.0)))
        return await super().search(replace(which, since=since), before, limit)


class ForgetsCauses(MemoryBackend):
    """Takes the text of an error for its cause."""

    async def search(self, which: Filter, before: str | None = None, limit: int = 50) -> Found:
        found = await super().search(replace(which, error=None), before, limit)
        fits = [job for job in found.jobs if which.error is None or which.error in str(job.error)]
        return replace(found, jobs=fits[:1])


class CountsPages(MemoryBackend):
    """Counts what it lists."""

    async def count(self, which: Filter, cap: int = 100_000) -> Count:
        return Count(number=len((await self.search(which, limit=min(cap, 5))).jobs))


class GroupsByText(MemoryBackend):
    """Has a group for each text."""

    async def causes(self, which: Filter, limit: int = 50) -> Causes:
        found = await self.search(which, limit=limit)
        return Causes(
            found=[Cause(newest=job, number=1, oldest_id=job.message.id) for job in found.jobs]
        )


# -- itself ----------------------------------------------------------------------------------------


class OpensAnew(MemoryBackend):
    """`create or replace`."""

    async def open(self) -> None:
        self._line = Line(self._jobs)
        self._records = Records(self._clock)


class ClosesForAll(MemoryBackend):
    """Clears away what others still use."""

    async def close(self) -> None:
        self._line = Line(self._jobs)


class TellsMilliseconds(MemoryBackend):
    """Has the clock of another language."""

    async def now(self) -> float:
        return self._clock.now() * 1000


class ClaimsToBeDurable(MemoryBackend):
    """Says what sounds well."""

    capabilities = Capabilities()


# -- what is kept ----------------------------------------------------------------------------------


class KeepsAllAlike(MemoryBackend):
    """Has one time to keep for everything that is settled."""

    async def prune(self, keep: Keep, limit: int) -> int:
        for job in self._jobs.values():
            job.purge = (job.finished or 0.0) + 10
        return await super().prune(keep, limit)


class PrunesAllAtOnce(MemoryBackend):
    """Takes the limit for a hint."""

    async def prune(self, keep: Keep, limit: int) -> int:
        return await super().prune(keep, len(self._jobs))


class CountsRecordsTogether(MemoryBackend):
    """Limits the number of records, and not that of each state."""

    def _over(self, state: State, newest: int) -> list[MemoryJob]:
        final = [job for job in self._jobs.values() if job.state.final]
        newer = sum(job.state is not state for job in final)
        return super()._over(state, max(0, newest - newer))


class ExpiresWhenAsked(MemoryBackend):
    """Looks at `expires` when a worker comes."""

    def _is_late(self, job: MemoryJob) -> bool:
        return False


class CountsFromTheSending(MemoryBackend):
    """Takes the time of sending for the due time."""

    def _is_late(self, job: MemoryJob) -> bool:
        terms = job.message.terms
        if terms is None or terms.expires is None:
            return super()._is_late(job)
        return not job.state.final and job.enqueued + terms.expires <= self._clock.now()


class KeepsWhatIsNotKept(MemoryBackend):
    """Leaves all removing to `prune`."""

    def _settle(self, transition: Transition) -> None:
        settle = transition.settle
        if isinstance(settle, Finish) and settle.keep <= 0:
            transition = replace(transition, settle=replace(settle, keep=0.001))
        super()._settle(transition)


class ExpiresWhatRuns(MemoryBackend):
    """Ends everything whose time has come."""

    def _is_late(self, job: MemoryJob) -> bool:
        expires = job.message.expires
        return not job.state.final and expires is not None and expires <= self._clock.now()
