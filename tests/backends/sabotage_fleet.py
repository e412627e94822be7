"""Backends with one defect each in keys, limits, ageing, cancelling, updating and peeking."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from ropeway.backends.memory import MemoryBackend
from ropeway.backends.memory.job import MemoryJob
from ropeway.backends.memory.keys import Keys
from ropeway.backends.memory.limits import Limits
from ropeway.backends.memory.line import Line
from ropeway.broker import Held, QueueStats
from ropeway.claims import Claim, Limit, Meter
from ropeway.clock import ManualClock
from ropeway.message import Delivery, Fence, JobRecord, Message
from ropeway.states import State
from ropeway.transition import Answer, Cancel, Release, Transition, Update
from tests.backends.sabotage_claims import HintsRequired


class WithParts(MemoryBackend):
    """Takes its parts from the class, so that a defect can be put into one of them."""

    Lined: type[Line] = Line
    Keyed: type[Keys] = Keys
    Limited: type[Limits] = Limits

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._line = self.Lined(self._jobs)
        self._line.keys, self._line.limits = self.Keyed(), self.Limited()


class _Quiet(HintsRequired):
    """Tells nobody of a queue while `quiet`."""

    quiet = False

    def _hint(self, name: str) -> None:
        if not (self.quiet and name.startswith("queue/")):
            super()._hint(name)


# -- ageing ----------------------------------------------------------------------------------------


class NeverAges(WithParts):
    """Looks at the bands from the top."""

    class Lined(Line):
        def _heads(self, claim: Claim) -> dict[int, float]:
            heads = super()._heads(claim)
            return {max(heads): heads[max(heads)]} if heads else {}


class AgesWholeBands(WithParts):
    """Keeps a rank for each band, and forgets to lower it."""

    class Lined(Line):
        def __init__(self, jobs: Mapping[str, MemoryJob]) -> None:
            super().__init__(jobs)
            self.oldest: dict[int, float] = {}

        def _heads(self, claim: Claim) -> dict[int, float]:
            heads = super()._heads(claim)
            for band, head in heads.items():
                self.oldest[band] = min(head, self.oldest.get(band, head))
            return {band: self.oldest[band] for band in heads}


class LowerBandsWinTies(WithParts):
    """Compares the ranks and then the due times."""

    class Lined(Line):
        def _heads(self, claim: Claim) -> dict[int, float]:
            return {band: head - 0.001 / (band + 1) for band, head in super()._heads(claim).items()}


class AgesFromPublishing(WithParts):
    """Takes the time in the queue for the time since it was due."""

    class Lined(Line):
        def _heads(self, claim: Claim) -> dict[int, float]:
            lanes = self._ready[claim.queue].items()
            firsts = {band: self._first(heap) for (_, band), heap in lanes}
            return {band: self._jobs[each[2]].enqueued for band, each in firsts.items() if each}


class AgesIntoOtherBands(WithParts):
    """Takes a message that counts as a band that was asked for."""

    class Lined(Line):
        def take(self, claim: Claim, n: int, now: float) -> list[MemoryJob]:
            return super().take(replace(claim, lowest=0), n, now)


# -- keys ------------------------------------------------------------------------------------------


class IgnoresKeys(WithParts):
    """Keeps the key for people to look at."""

    class Keyed(Keys):
        def is_free(self, job: MemoryJob) -> bool:
            return True


class OrdersKeysByDue(WithParts):
    """Asks which of a key is due first."""

    class Keyed(Keys):
        def enter(self, job: MemoryJob) -> None:
            super().enter(job)
            line = self._open[job.message.queue, job.message.key or ""]
            line.remove((job.serial, job.message.id))
            line.insert(0, (job.serial, job.message.id))


class RetriesLetGo(MemoryBackend):
    """Gives the key up with the lease."""

    def _release(self, job: MemoryJob, release: Release, now: float) -> None:
        super()._release(job, release, now)
        if release.delay is not None:
            self._line.leave(job, now)
            self._line.enter(job)


class DelayedLetOthersPass(MemoryBackend):
    """Lets a message into the line of its key when it is due."""

    def _publish(self, message: Message) -> None:
        super()._publish(message)
        if message.delay:
            self._line.keys.leave(self._jobs[message.id])


class TakeoversLetGo(MemoryBackend):
    """Gives the key up when a lease has expired."""

    def _lease(self, job: MemoryJob, holder: str, lease: float) -> Delivery:
        delivery = super()._lease(job, holder, lease)
        if delivery.fence.attempt > 1:
            self._line.leave(job, self._clock.now())
            self._line.enter(job)
        return delivery


class OnlySuccessFreesTheNext(MemoryBackend):
    """Waits for a person where something of a key went wrong."""

    def _end(self, job: MemoryJob, state: State, keep: float) -> None:
        message = job.message
        if state is not State.SUCCEEDED:
            job.message = replace(message, key=None)
        super()._end(job, state, keep)
        job.message = message


class AnyEndFreesTheNext(WithParts):
    """Counts ends, and does not ask whose."""

    class Keyed(Keys):
        def leave(self, job: MemoryJob) -> str | None:
            line = self._open[job.message.queue, job.message.key or ""]
            if not self.is_free(job):
                line.pop(0)
            line.remove((job.serial, job.message.id))
            return line[0][1] if line else None


class KeysAreGlobal(WithParts):
    """Has one line for a key, whatever the queue."""

    class Keyed(Keys):
        def enter(self, job: MemoryJob) -> None:
            super().enter(_anywhere(job))

        def is_free(self, job: MemoryJob) -> bool:
            return super().is_free(_anywhere(job))

        def leave(self, job: MemoryJob) -> str | None:
            return super().leave(_anywhere(job))


def _anywhere(job: MemoryJob) -> MemoryJob:
    return replace(job, message=replace(job.message, queue=""))


class KeysInOrderOfDue(WithParts):
    """Gives the next of a key the place of its due time."""

    class Lined(Line):
        def leave(self, job: MemoryJob, now: float) -> bool:
            return super().leave(job, -math.inf)


class TurnsMoveDueTimes(WithParts):
    """Has one column for the place and the due time."""

    class Lined(Line):
        def push(self, job: MemoryJob) -> None:
            job.due = job.place
            super().push(job)


class CountsWhatIsFree(MemoryBackend):
    """Counts what could be handed out."""

    def _count(self, queue: str, jobs: list[MemoryJob], cap: int) -> QueueStats:
        return super()._count(queue, [each for each in jobs if each.entry or each.holder], cap)


class RepeatsStandInLine(MemoryBackend):
    """Takes a place in line before it looks whether the message is known."""

    def _apply(self, transition: Transition) -> Answer:
        for message in transition.publish:
            if message.id in self._jobs:
                self._line.keys.enter(self._jobs[message.id])
        return super()._apply(transition)


class KnowsOneKeysOrder(WithParts):
    """Remembers the order of the key that came first."""

    class Keyed(Keys):
        def enter(self, job: MemoryJob) -> None:
            super().enter(job)
            line = self._open[job.message.queue, job.message.key or ""]
            if len(self._open) > 1:
                line[1:] = line[:0:-1]


class FreedKeysAreNotTold(_Quiet):
    """Tells of messages that come, and not of those that may go."""

    def _end(self, job: MemoryJob, state: State, keep: float) -> None:
        self.quiet = True
        super()._end(job, state, keep)
        self.quiet = False


# -- limits ----------------------------------------------------------------------------------------


class IgnoresLimits(WithParts):
    """Leaves limits to whoever runs the workers."""

    class Limited(Limits):
        def room(self, name: str, now: float) -> float:
            return math.inf


class OnlySuccessFreesAPlace(MemoryBackend):
    """Gives the place back in the path that was tested."""

    def _end(self, job: MemoryJob, state: State, keep: float) -> None:
        ran = job.state is State.RUNNING
        super()._end(job, state, keep)
        if ran and state is not State.SUCCEEDED:
            self._line.limits.take(job.message.limits, self._clock.now())


class ExpiryFreesAPlace(MemoryBackend):
    """Counts live leases."""

    def _expired(self, claim: Claim) -> Iterator[MemoryJob]:
        for job in super()._expired(claim):
            self._line.limits.give_back(job.message.limits)
            yield job


class FullLimitsStopTheQueue(WithParts):
    """Waits until what it met first has room."""

    class Lined(Line):
        def take(self, claim: Claim, n: int, now: float) -> list[MemoryJob]:
            return [] if any(self._aside[claim.queue].values()) else super().take(claim, n, now)


class LastInLineIsNext(WithParts):
    """Puts what waits for a limit on a stack."""

    class Lined(Line):
        def _return(self, claim: Claim, now: float) -> None:
            for (_, name), aside in self._aside[claim.queue].items():
                if aside and self.limits.room(name, now) > 0:
                    aside.sort()
                    self.push(self._jobs[aside.pop()[2]])


class IgnoresRates(WithParts):
    """Counts what is in flight."""

    class Limited(Limits):
        def declare(self, limit: Limit) -> None:
            super().declare(replace(limit, rate=None))


class UnusedRateAddsUp(WithParts):
    """Counts from the first message on."""

    class Limited(Limits):
        def take(self, names: Sequence[str], now: float) -> None:
            before = {name: self.meter(name).spent for name in names}
            super().take(names, now)
            for name, spent in before.items():
                meter = self._meters[name]
                if meter.limit.rate is not None:
                    ahead = (spent or now) + 1 / meter.limit.rate
                    self._meters[name] = replace(meter, spent=ahead)


class LooksAtOneLimit(WithParts):
    """Has a column for the name of a limit."""

    class Limited(Limits):
        def without_room(self, names: Iterable[str], now: float) -> str | None:
            return super().without_room([*names][-1:], now)


class TheFirstDeclarationStays(WithParts):
    """`insert or ignore`."""

    class Limited(Limits):
        def declare(self, limit: Limit) -> None:
            if limit.name not in self._meters:
                super().declare(limit)


class CountsFromTheDeclaration(WithParts):
    """Begins to count when a limit is made."""

    class Limited(Limits):
        def declare(self, limit: Limit) -> None:
            self._meters.pop(limit.name, None)
            super().declare(limit)


class CountsNamesTwice(WithParts):
    """Takes a place for each name, and gives back one."""

    class Limited(Limits):
        def take(self, names: Sequence[str], now: float) -> None:
            for name in names:
                super().take([name], now)


class LimitsOneQueue(WithParts):
    """Keeps a limit for each queue, and knows it where it was first used."""

    class Lined(Line):
        def take(self, claim: Claim, n: int, now: float) -> list[MemoryJob]:
            known, self.limits = self.limits, self.limits if claim.queue == "default" else Limits()
            found = super().take(claim, n, now)
            self.limits = known
            return found


class ParkedLetGo(WithParts):
    """Gives the key up while a message waits for a limit."""

    class Lined(Line):
        def take(self, claim: Claim, n: int, now: float) -> list[MemoryJob]:
            found = super().take(claim, n, now)
            for aside in self._aside[claim.queue].values():
                for job in (self._jobs[entry[2]] for entry in aside):
                    if self.keys.is_free(job) and (freed := self.keys.leave(job)):
                        self.push(self._jobs[freed])
            return found


class ParkedAreNotCounted(MemoryBackend):
    """Counts what is in the queue itself."""

    def _count(self, queue: str, jobs: list[MemoryJob], cap: int) -> QueueStats:
        in_line = [each for each in jobs if each.entry is None or each.entry[0] == each.place]
        return super()._count(queue, in_line, cap)


class FreedPlacesAreNotTold(_Quiet):
    """Leaves it to the workers to ask again."""

    def _free(self, job: MemoryJob) -> None:
        self.quiet = True
        super()._free(job)
        self.quiet = False


class ChangedLimitsAreNotTold(_Quiet):
    """Changes the limit, for whoever comes next."""

    async def declare(self, limits: Sequence[Limit]) -> None:
        self.quiet = True
        await super().declare(limits)
        self.quiet = False


class TellsOfWhatIsLeased(MemoryBackend):
    """Adds up what runs, and forgets the rate."""

    async def meters(self, names: Sequence[str]) -> list[Meter]:
        return [replace(each, spent=0.0) for each in await super().meters(names)]


class TellsOfTheDeclared(MemoryBackend):
    """Lists its limits."""

    async def meters(self, names: Sequence[str]) -> list[Meter]:
        found = {each.limit.name: each for each in await super().meters(sorted(names))}
        return [each for each in found.values() if each.limit.in_flight is not None]


# -- cancel ----------------------------------------------------------------------------------------


class CancelsOnPaper(MemoryBackend):
    """Says yes."""

    def _cancel(self, cancel: Cancel) -> bool:
        job = self._jobs.get(cancel.id)
        return job is not None and job.state is State.QUEUED


class CancelsWhatRuns(MemoryBackend):
    """Ends every job at once."""

    def _flag(self, cancel: Cancel) -> bool:
        job = self._jobs.get(cancel.id)
        if job is not None and job.state is State.RUNNING:
            self._end_cancelled(job, cancel.keep)
        return False


class DoesNotRenewTheFlagged(MemoryBackend):
    """Answers before it renews."""

    def _extend(self, fence: Fence, lease: float) -> Held:
        until = self._jobs[fence.id].lease_until
        answer = super()._extend(fence, lease)
        if answer == "cancelled":
            self._jobs[fence.id].lease_until = until
        return answer


class ReleasesTheFlagged(MemoryBackend):
    """Gives back what is given back."""

    def _settle(self, transition: Transition) -> None:
        if transition.fence is not None and isinstance(transition.settle, Release):
            self._jobs[transition.fence.id].cancelling = False
        super()._settle(transition)


class CancellingWins(MemoryBackend):
    """Knows the end of a flagged job before it has ended."""

    def _end(self, job: MemoryJob, state: State, keep: float) -> None:
        super()._end(job, State.CANCELLED if job.cancelling else state, keep)


class HandsOverTheFlagged(MemoryBackend):
    """Leaves flags to whoever holds the lease."""

    def _end_flagged(self) -> int:
        return 0


class RefusesToCancelTheSettled(MemoryBackend):
    """Takes what has ended for a conflict."""

    def _guard(self, transition: Transition) -> Answer | None:
        for each in transition.cancel:
            job = self._jobs.get(each.id)
            if job is None or job.state.final:
                return Answer(status="refused", reason="conflict")
        return super()._guard(transition)


class KeepsTheCancelled(MemoryBackend):
    """Has no time to keep for what nobody wanted."""

    def _end(self, job: MemoryJob, state: State, keep: float) -> None:
        super()._end(job, state, math.inf if state is State.CANCELLED else keep)


class CancelsBeforeItGuards(MemoryBackend):
    """Stops first and asks then."""

    def _apply(self, transition: Transition) -> Answer:
        for each in transition.cancel:
            self._cancel(each)
        return super()._apply(transition)


class CancelsBeforeItPublishes(MemoryBackend):
    """Cancels what is there."""

    def _apply(self, transition: Transition) -> Answer:
        first = super()._apply(Transition(cancel=transition.cancel))
        rest = super()._apply(replace(transition, cancel=()))
        return replace(rest, cancelled=first.cancelled, flagged=first.flagged)


class CancelledEndsAreNotTold(HintsRequired):
    """Tells of the ends that workers bring about."""

    quiet = False

    def _end_cancelled(self, job: MemoryJob, keep: float) -> None:
        self.quiet = True
        super()._end_cancelled(job, keep)
        self.quiet = False

    def _hint(self, name: str) -> None:
        if not self.quiet:
            super()._hint(name)


class HoldersAreNotTold(HintsRequired):
    """Answers when it is asked."""

    def _hint(self, name: str) -> None:
        if not name.startswith("holder/"):
            super()._hint(name)


# -- update ----------------------------------------------------------------------------------------


class UpdatesTheRecord(MemoryBackend):
    """Changes what people see."""

    def _update(self, update: Update) -> None:
        place = self._jobs[update.id].place
        super()._update(update)
        job = self._jobs[update.id]
        job.place = place
        self._line.push(job)


class LeavesTheOldPlace(MemoryBackend):
    """Puts a copy where the job is to be."""

    def _update(self, update: Update) -> None:
        before = self._jobs[update.id].message
        super()._update(update)
        entry = self._jobs[update.id].entry
        if entry is not None:
            heapq.heappush(self._line._ready[before.queue][before.kind, before.band], entry)


class UpdatesResetTheRest(MemoryBackend):
    """Makes a new message of the fields that were named."""

    def _update(self, update: Update) -> None:
        super()._update(update)
        job = self._jobs[update.id]
        job.message = replace(job.message, headers={})


class UpdatesBeginAnew(MemoryBackend):
    """Deletes the job and sends it again."""

    def _update(self, update: Update) -> None:
        super()._update(update)
        self._jobs[update.id].failures = 0


class UpdatesWhatRuns(MemoryBackend):
    """`update ... where id = ?`."""

    def _guard(self, transition: Transition) -> Answer | None:
        return super()._guard(replace(transition, update=()))


class UpdatesUpToTheFirstConflict(MemoryBackend):
    """Finds a conflict when it gets to it."""

    def _apply(self, transition: Transition) -> Answer:
        answer = super()._apply(transition)
        if answer.reason == "conflict":
            for each in transition.update:
                if self._jobs[each.id].state is State.QUEUED:
                    self._update(each)
        return answer


class MovesPassTheKey(MemoryBackend):
    """Has the key looked at when a message is sent."""

    def _update(self, update: Update) -> None:
        super()._update(update)
        job = self._jobs[update.id]
        job.entry = (job.place, job.serial, job.message.id)
        lane = job.message.kind, job.message.band
        heapq.heappush(self._line._ready[job.message.queue][lane], job.entry)


class EditsLoseTheirPlace(MemoryBackend):
    """Takes the job out and puts it in again."""

    def _update(self, update: Update) -> None:
        super()._update(update)
        self._line.leave(self._jobs[update.id], self._clock.now())
        self._line.enter(self._jobs[update.id])


class UpdatesAreNotTold(_Quiet):
    """Tells of what is sent."""

    def _update(self, update: Update) -> None:
        self.quiet = True
        super()._update(update)
        self.quiet = False


# -- peek ------------------------------------------------------------------------------------------


class PeeksInOrderOfPublishing(MemoryBackend):
    """`order by id`."""

    async def peek(self, queue: str, limit: int = 50) -> list[JobRecord]:
        found = await super().peek(queue, len(self._jobs))
        return sorted(found, key=lambda record: record.message.id)[:limit]


class PeeksAtEverything(MemoryBackend):
    """Shows the queue with all that has been in it."""

    async def peek(self, queue: str, limit: int = 50) -> list[JobRecord]:
        return [job.record() for job in self._jobs.values()][:limit]


class PeeksAtWhatIsFree(MemoryBackend):
    """Shows what would be handed out."""

    async def peek(self, queue: str, limit: int = 50) -> list[JobRecord]:
        found = await super().peek(queue, len(self._jobs))
        entries = {record.message.id: self._jobs[record.message.id].entry for record in found}
        return [record for record in found if entries[record.message.id]][:limit]


class PeeksByTaking(MemoryBackend):
    """Takes what it shows, and gives it back."""

    async def peek(self, queue: str, limit: int = 50) -> list[JobRecord]:
        found = await self.receive([Claim(queue, limit)], "somebody who looks", 1.0)
        releases = [Transition(fence=each.fence, settle=Release("none")) for each in found]
        await self.commit(releases)
        return [self._jobs[each.fence.id].record() for each in found]
