"""Backends with one defect each in what they hand over: order, claims, leases, waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from ropeway.backends.memory import MemoryBackend
from ropeway.backends.memory.job import MemoryJob
from ropeway.broker import Held
from ropeway.claims import Claim
from ropeway.clock import ManualClock
from ropeway.message import (
    CHARGED_AFTER,
    SOLO_AFTER,
    Delivery,
    Fence,
    Message,
    solo_key,
    solo_mark,
)
from ropeway.states import State
from ropeway.store import Backend
from ropeway.transition import Answer, Release, Transition
from ropeway.wrappers.delegate import Delegate


class Scans(MemoryBackend):
    """Honest: it looks at every job. What the next ones leave out or compare is their defect."""

    def _due(self, claim: Claim, n: int) -> list[MemoryJob]:
        return sorted(self._candidates(claim), key=self._place)[:n]

    def _candidates(self, claim: Claim) -> list[MemoryJob]:
        return [
            job
            for job in self._jobs.values()
            if job.state is State.QUEUED
            and job.message.queue == claim.queue
            and self._in_bands(job, claim)
            and self._is_due(job)
        ]

    def _in_bands(self, job: MemoryJob, claim: Claim) -> bool:
        return claim.lowest <= job.message.band <= claim.highest

    def _is_due(self, job: MemoryJob) -> bool:
        return job.due <= self._clock.now()

    def _place(self, job: MemoryJob) -> tuple[float | str, ...]:
        return (-job.message.band, job.due, job.serial)


# -- order -----------------------------------------------------------------------------------------


class IgnoresBands(Scans):
    """First come, first served."""

    def _place(self, job: MemoryJob) -> tuple[float | str, ...]:
        return (job.due, job.serial)


class IgnoresDueTimes(Scans):
    """Orders by publishing within a band."""

    def _place(self, job: MemoryJob) -> tuple[float | str, ...]:
        return (-job.message.band, job.serial)


class OrdersEqualsById(Scans):
    """Trusts that ids grow."""

    def _place(self, job: MemoryJob) -> tuple[float | str, ...]:
        return (-job.message.band, job.due, job.message.id)


class HandsOverBackwards(Scans):
    """Takes the right ones, in the order in which they come out."""

    def _due(self, claim: Claim, n: int) -> list[MemoryJob]:
        return super()._due(claim, n)[::-1]


class IgnoresBandRange(Scans):
    """Takes from all bands."""

    def _in_bands(self, job: MemoryJob, claim: Claim) -> bool:
        return True


class RunsEarly(Scans):
    """Takes due times for an order and not for a date."""

    def _is_due(self, job: MemoryJob) -> bool:
        return True


class MovesPastDates(Scans):
    """Has no due time before now."""

    def _publish(self, message: Message) -> None:
        super()._publish(message)
        job = self._jobs[message.id]
        job.due = max(job.due, self._clock.now())


class SleepsAtTheHead(Scans):
    """Looks at the first of all that wait."""

    def _due(self, claim: Claim, n: int) -> list[MemoryJob]:
        due: list[MemoryJob] = []
        for job in super()._due(claim, n):
            if job.due > self._clock.now():
                break
            due.append(job)
        return due

    def _is_due(self, job: MemoryJob) -> bool:
        return True


# -- claims ----------------------------------------------------------------------------------------


class LooksThenTakes(Scans):
    """Lets another one in between the look and the take."""

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        jobs = [job for claim in claims for job in self._due(claim, claim.n)]
        await asyncio.sleep(0)
        return [self._lease(job, holder, lease) for job in jobs]


class TakesOneMore(Scans):
    """Off by one."""

    def _due(self, claim: Claim, n: int) -> list[MemoryJob]:
        return super()._due(claim, n + 1)


class LooksForAllThenTakes(Scans):
    """Looks for every claim before it takes for the first."""

    def _claim_all(self, claims: Sequence[Claim], holder: str, lease: float) -> list[Delivery]:
        jobs = [job for claim in claims for job in self._due(claim, claim.n)]
        return [self._lease(job, holder, lease) for job in jobs]


class WaitsForNothing(MemoryBackend):
    """Waits, whether there is a claim or not."""

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        if not claims:
            await asyncio.sleep(wait)
        return await super().receive(claims, holder, lease, wait)


class AcksAtReceive(MemoryBackend):
    """Acknowledges what it hands over."""

    def _lease(self, job: MemoryJob, holder: str, lease: float) -> Delivery:
        delivery = super()._lease(job, holder, lease)
        job.state = State.SUCCEEDED
        self._leased[job.message.queue].discard(job.message.id)
        return delivery


class NeverStopsWaiting(MemoryBackend):
    """Answers when there is something to say."""

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        while not (found := await super().receive(claims, holder, lease, wait)) and wait:
            pass
        return found


class SleepsThrough(MemoryBackend):
    """Looks again when the wait is over."""

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        found = await super().receive(claims, holder, lease)
        if not found and wait:
            await asyncio.sleep(wait)
            found = await super().receive(claims, holder, lease)
        return found


class LeavesClaims(MemoryBackend):
    """Reserves the next message for whoever stopped waiting for it."""

    gone: str | None = None

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        try:
            return await super().receive(claims, holder, lease, wait)
        except asyncio.CancelledError:
            self.gone = holder
            raise

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        answers = await super().commit(transitions)
        if self.gone is not None:
            await super().receive([Claim("default", 1)], self.gone, 60.0)
        return answers


# -- leases ----------------------------------------------------------------------------------------


class TakesLiveLeases(MemoryBackend):
    """Takes what is leased for what was left behind."""

    def _expired(self, claim: Claim) -> Iterator[MemoryJob]:
        return iter([self._jobs[job_id] for job_id in self._leased[claim.queue]])


class MindsWhatIsDelayed(Scans):
    """Looks no further than a queue in which something waits for later."""

    def _due(self, claim: Claim, n: int) -> list[MemoryJob]:
        waits = any(
            job.state is State.QUEUED and not self._is_due(job) for job in self._jobs.values()
        )
        return [] if waits else super()._due(claim, n)


class LeasesNeverExpire(MemoryBackend):
    """Waits for a dead worker."""

    def _expired(self, claim: Claim) -> Iterator[MemoryJob]:
        return iter(())


class ChargesExpiry(MemoryBackend):
    """Counts every lease that expired as a loss."""

    def _lease(self, job: MemoryJob, holder: str, lease: float) -> Delivery:
        job.losses += job.state is State.RUNNING
        return super()._lease(job, holder, lease)


class ChargesNoExpiry(MemoryBackend):
    """Leaves it to the settles to charge."""

    def _lease(self, job: MemoryJob, holder: str, lease: float) -> Delivery:
        losses = job.losses
        delivery = super()._lease(job, holder, lease)
        job.losses = losses
        return replace(delivery, losses=losses)


class ChargesThoseThatWait(MemoryBackend):
    """Takes whoever is to run alone for one that has begun to."""

    def _lease(self, job: MemoryJob, holder: str, lease: float) -> Delivery:
        waited = job.state is State.RUNNING and job.record().abandoned >= CHARGED_AFTER
        mark = self._records.get(solo_key(job.message.id))
        job.losses += waited and (mark is None or mark.value != solo_mark(job.attempt))
        return super()._lease(job, holder, lease)


class GivingBackIsSilence(MemoryBackend):
    """Takes every attempt that did not finish the job for one that ended silently."""

    def _lease(self, job: MemoryJob, holder: str, lease: float) -> Delivery:
        if job.state is State.RUNNING and job.attempt > SOLO_AFTER:
            job.losses += 1
        return super()._lease(job, holder, lease)


class ResetsAttempts(MemoryBackend):
    """Starts anew after a release."""

    def _settle(self, transition: Transition) -> None:
        super()._settle(transition)
        if transition.fence is not None and isinstance(transition.settle, Release):
            self._jobs[transition.fence.id].attempt = 0


class ExpiredLast(MemoryBackend):
    """Recovers when there is nothing else to do."""

    def _claim_all(self, claims: Sequence[Claim], holder: str, lease: float) -> list[Delivery]:
        found: list[Delivery] = []
        for claim in claims:
            jobs = self._due(claim, claim.n)
            jobs += [*self._expired(claim)][: claim.n - len(jobs)]
            found += [self._lease(job, holder, lease) for job in jobs]
        return found


class ExpiredOfAllBands(MemoryBackend):
    """Recovers without a look at the claim."""

    def _expired(self, claim: Claim) -> Iterator[MemoryJob]:
        return super()._expired(replace(claim, lowest=0))


class OneLengthForAll(MemoryBackend):
    """Has one visibility timeout."""

    def _lease(self, job: MemoryJob, holder: str, lease: float) -> Delivery:
        return super()._lease(job, holder, 60.0)


class ExtendsOnPaper(MemoryBackend):
    """Says held, and changes nothing."""

    def _extend(self, fence: Fence, lease: float) -> Held:
        until = self._jobs[fence.id].lease_until
        held = super()._extend(fence, lease)
        self._jobs[fence.id].lease_until = until
        return held


class ExpiredIsLost(MemoryBackend):
    """Renews live leases only."""

    def _extend(self, fence: Fence, lease: float) -> Held:
        late = self._jobs[fence.id].lease_until <= self._clock.boot()
        return "lost" if late else super()._extend(fence, lease)


class ExtendRevives(MemoryBackend):
    """Gives the lease to whoever renews it."""

    def _extend(self, fence: Fence, lease: float) -> Held:
        job = self._jobs[fence.id]
        job.attempt, job.holder = fence.attempt, fence.holder
        return super()._extend(fence, lease)


class ExtendsForAnother(MemoryBackend):
    """Says lost, and has prolonged the lease of the one who holds it."""

    def _extend(self, fence: Fence, lease: float) -> Held:
        job = self._jobs[fence.id]
        job.lease_until = self._clock.boot() + lease
        return super()._extend(fence, lease)


class ExtendsWhatEnded(MemoryBackend):
    """Looks at the attempt, and not at the state."""

    def _extend(self, fence: Fence, lease: float) -> Held:
        job = self._jobs[fence.id]
        mine = (job.attempt, job.holder) == (fence.attempt, fence.holder)
        return "held" if mine else super()._extend(fence, lease)


class OneLostLosesAll(MemoryBackend):
    """Answers for the whole call."""

    async def extend(self, fences: Sequence[Fence], lease: float) -> list[Held]:
        answers = await super().extend(fences, lease)
        return ["lost"] * len(answers) if "lost" in answers else answers


# -- clocks ----------------------------------------------------------------------------------------


class _DateOnly(ManualClock):
    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now()

    def boot(self) -> float:
        return self._clock.now()


class _BootOnly(_DateOnly):
    def now(self) -> float:
        return 1_800_000_000.0 + self._clock.boot()


class LeasesByDate(MemoryBackend):
    """Keeps the end of a lease as a date."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(_DateOnly(clock))


class DuesByUptime(MemoryBackend):
    """Never reads the date."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(_BootOnly(clock))


# -- hints -----------------------------------------------------------------------------------------


class HintsRequired(MemoryBackend):
    """Waits for a hint, and for nothing else."""

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        found = self._changed(names, self._seen)
        if not found and timeout > 0:
            seen = {name: self._changes[name] for name in names}
            found = await self._listen(names, seen, timeout)
        return found


class FirstWaitSleeps(HintsRequired):
    """Compares with what was there when the wait began."""

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        for name in names:
            self._seen.setdefault(name, self._changes[name])
        return await super().wait(names, timeout)


class SpinsAlways(MemoryBackend):
    """Lets the caller find out."""

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        return list(names)


class EndsAreNotTold(HintsRequired):
    """Tells of messages only."""

    def _hint(self, name: str) -> None:
        if name.startswith("queue/"):
            super()._hint(name)


class TellsSleepersOnly(HintsRequired):
    """Wakes those who sleep, and remembers nothing for the others."""

    def _hint(self, name: str) -> None:
        if self._waiters:
            super()._hint(name)


class FirstTakesTheHint(HintsRequired):
    """Has one mark for a name, which the first who sees it wipes off."""

    async def _listen(
        self, names: Sequence[str], seen: dict[str, int], timeout: float
    ) -> list[str]:
        return await super()._listen(names, self._seen, timeout)


class WatchesOneName(HintsRequired):
    """Watches the first of the names."""

    async def _listen(
        self, names: Sequence[str], seen: dict[str, int], timeout: float
    ) -> list[str]:
        return await super()._listen(names[:1], seen, timeout)


class ReleasesAreNotTold(HintsRequired):
    """Tells of what is published, and not of what comes back."""

    quiet = False

    def _settle(self, transition: Transition) -> None:
        self.quiet = True
        super()._settle(transition)
        self.quiet = False

    def _hint(self, name: str) -> None:
        if not self.quiet:
            super()._hint(name)


class OthersAreNotTold(HintsRequired):
    """Wakes the workers of its own process."""

    quiet = False

    def another(self) -> Backend:
        return _Quiet(self)

    def _hint(self, name: str) -> None:
        if not self.quiet:
            super()._hint(name)


class _Quiet(Delegate):
    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        assert isinstance(self.inner, OthersAreNotTold)
        self.inner.quiet = True
        answers = await super().commit(transitions)
        self.inner.quiet = False
        return answers
