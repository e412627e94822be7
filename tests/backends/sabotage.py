"""Backends with one defect each in what they write: fences, settles, batches, publishes.

Each is the memory backend with one promise broken, as a hurried author might break it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from ropeway.backends.memory import MemoryBackend
from ropeway.backends.memory.job import MemoryJob
from ropeway.claims import MAX_BATCH, Claim
from ropeway.clock import ManualClock
from ropeway.message import Delivery, Fence, Kind, Message
from ropeway.states import State
from ropeway.store import Backend
from ropeway.transition import APPLIED, REPEATED, Answer, Finish, Reject, Release, Transition, size
from ropeway.wrappers.delegate import Delegate

LOST = Answer(status="refused", reason="lost")
DUPLICATE = Answer(status="refused", reason="duplicate")

# -- publish ---------------------------------------------------------------------------------------


class LosesHeaders(MemoryBackend):
    """Keeps the fields that it knew when it was written."""

    def _publish(self, message: Message) -> None:
        super()._publish(replace(message, headers={}))


class KnowsTwoKinds(MemoryBackend):
    """Keeps the kind as one bit."""

    def _publish(self, message: Message) -> None:
        kind: Kind = "threads" if message.kind == "threads" else "loop"
        super()._publish(replace(message, kind=kind))


class CutsBodies(MemoryBackend):
    """Keeps bodies in a column of 64 kB."""

    def _publish(self, message: Message) -> None:
        super()._publish(replace(message, body=message.body[:65_536]))


class FoldsQueueNames(MemoryBackend):
    """Compares names as a case-insensitive database does."""

    def _publish(self, message: Message) -> None:
        super()._publish(replace(message, queue=message.queue.lower()))


class BuffersSends(Delegate):
    """Sends what was published when it next has to do with the broker."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(MemoryBackend(clock))
        self._held: list[Transition] = []

    def another(self) -> Backend:
        return Delegate(self.inner)

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        self._held += transitions
        return [APPLIED] * len(transitions)

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        held, self._held = self._held, []
        await self.inner.commit(held)
        return await self.inner.receive(claims, holder, lease, wait)


class RefusesWhatIsThere(MemoryBackend):
    """Takes every known id for a duplicate, whatever the message."""

    def _guard(self, transition: Transition) -> Answer | None:
        if any(message.id in self._jobs for message in transition.publish):
            return DUPLICATE
        return super()._guard(transition)


class ForgetsSettledIds(MemoryBackend):
    """Knows the ids of open jobs only."""

    def _apply(self, transition: Transition) -> Answer:
        for message in transition.publish:
            job = self._jobs.get(message.id)
            if job is not None and job.state.final:
                del self._jobs[message.id]
        return super()._apply(transition)


class OverwritesDuplicates(MemoryBackend):
    """`insert or replace`."""

    def _apply(self, transition: Transition) -> Answer:
        for message in transition.publish:
            if message.id in self._jobs:
                self._jobs[message.id].message = message
        return super()._apply(transition)


class DropsTwins(MemoryBackend):
    """`insert or ignore`, without a look at what was ignored."""

    def _guard(self, transition: Transition) -> Answer | None:
        first = {message.id: message for message in reversed(transition.publish)}
        return super()._guard(replace(transition, publish=tuple(first.values())))


class KnownHidesNew(MemoryBackend):
    """Takes a transition for repeated when one of its messages is known."""

    def _guard(self, transition: Transition) -> Answer | None:
        answer = super()._guard(transition)
        known = any(message.id in self._jobs for message in transition.publish)
        return REPEATED if answer is None and known else answer


class WritesBeforeDuplicates(MemoryBackend):
    """Finds a duplicate when it gets to it, with everything before it written."""

    def _apply(self, transition: Transition) -> Answer:
        answer = super()._apply(transition)
        if answer.reason == "duplicate":
            for put in transition.put:
                self._write(put)
        return answer


# -- fences ----------------------------------------------------------------------------------------


class NoFence(MemoryBackend):
    """Lets everybody settle."""

    def _guard_fence(self, fence: Fence, transition: Transition) -> Answer | None:
        return None if fence.id in self._jobs else super()._guard_fence(fence, transition)


class ExpiredCannotSettle(MemoryBackend):
    """Takes the end of a lease for its loss."""

    def _guard_fence(self, fence: Fence, transition: Transition) -> Answer | None:
        job = self._jobs.get(fence.id)
        late = job is not None and job.lease_until <= self._clock.boot()
        return LOST if late else super()._guard_fence(fence, transition)


class FenceWithoutHolder(MemoryBackend):
    """Compares attempts alone."""

    def _guard_fence(self, fence: Fence, transition: Transition) -> Answer | None:
        job = self._jobs.get(fence.id)
        if job is not None:
            fence = replace(fence, holder=job.holder)
        return super()._guard_fence(fence, transition)


class PutsDespiteFence(MemoryBackend):
    """Guards the settle with the fence, and not what goes with it."""

    def _apply(self, transition: Transition) -> Answer:
        answer = super()._apply(transition)
        if answer.reason == "lost":
            for put in transition.put:
                self._write(put)
        return answer


class SettlesAlone(MemoryBackend):
    """Leaves out what a settle publishes."""

    def _apply(self, transition: Transition) -> Answer:
        return super()._apply(replace(transition, publish=()) if transition.fence else transition)


class ProgressEndsTheAttempt(MemoryBackend):
    """Uses up a fence, whatever it guards."""

    def _apply(self, transition: Transition) -> Answer:
        answer = super()._apply(transition)
        if transition.fence is not None and answer.status == "applied":
            self._jobs[transition.fence.id].holder = None
        return answer


class ReleasedIsStillHeld(MemoryBackend):
    """Compares attempt and holder, and forgets the state."""

    def _guard_fence(self, fence: Fence, transition: Transition) -> Answer | None:
        job = self._jobs.get(fence.id)
        mine = job is not None and (job.attempt, job.holder) == (fence.attempt, fence.holder)
        if mine and job is not None and job.state is State.QUEUED:
            return None
        return super()._guard_fence(fence, transition)


# -- settle ----------------------------------------------------------------------------------------


class SettlesOtherwise(MemoryBackend):
    """A base that changes what it settles with."""

    def _settle(self, transition: Transition) -> None:
        super()._settle(replace(transition, settle=self._changed_settle(transition)))

    def _changed_settle(self, transition: Transition) -> object:
        return transition.settle


class ForgetsWhen(MemoryBackend):
    """Keeps the end of a job without its time."""

    def _settle(self, transition: Transition) -> None:
        super()._settle(transition)
        if transition.fence is not None:
            self._jobs[transition.fence.id].finished = None


class EmptyIsNone(SettlesOtherwise):
    """`value or None`."""

    def _changed_settle(self, transition: Transition) -> object:
        settle = transition.settle
        return replace(settle, value=settle.value or None) if isinstance(settle, Finish) else settle


class ForgetsJobs(MemoryBackend):
    """Removes a job when it ends."""

    def _settle(self, transition: Transition) -> None:
        super()._settle(transition)
        if transition.fence is not None and self._jobs[transition.fence.id].state.final:
            del self._jobs[transition.fence.id]


class RejectsIntoTheBin(MemoryBackend):
    """Keeps the reason and throws the message away."""

    def _settle(self, transition: Transition) -> None:
        super()._settle(transition)
        if transition.fence is not None and isinstance(transition.settle, Reject):
            job = self._jobs[transition.fence.id]
            job.message = replace(job.message, body=b"")


class ReleasesToTheBack(MemoryBackend):
    """Publishes again what is given back."""

    def _settle(self, transition: Transition) -> None:
        if transition.fence is not None and isinstance(transition.settle, Release):
            self._serial += 1
            self._jobs[transition.fence.id].serial = self._serial
        super()._settle(transition)


class ReleasesAtTheEndOfTheLease(MemoryBackend):
    """Stops renewing, and leaves the rest to expiry."""

    def _apply(self, transition: Transition) -> Answer:
        released = isinstance(transition.settle, Release)
        return super()._apply(replace(transition, settle=None) if released else transition)


class DelaysFromTheLastDue(SettlesOtherwise):
    """Adds a delay to the time when the message was due before."""

    def _changed_settle(self, transition: Transition) -> object:
        settle = transition.settle
        if transition.fence is None or not isinstance(settle, Release) or settle.delay is None:
            return settle
        return replace(settle, at=self._jobs[transition.fence.id].due + settle.delay)


class TakesDatesForDelays(SettlesOtherwise):
    """Knows one kind of later."""

    def _changed_settle(self, transition: Transition) -> object:
        settle = transition.settle
        if not isinstance(settle, Release) or settle.at is None:
            return settle
        return replace(settle, at=None, delay=settle.at - self._clock.now() + 1.0)


class ChargesFailuresForAll(MemoryBackend):
    """Has one counter."""

    @staticmethod
    def _charge(job: object, counts: str) -> None:
        MemoryBackend._charge(job, "failures")  # type: ignore[arg-type]  # its class is private


class UnknownIsAnyRelease(MemoryBackend):
    """Has one counter for what is free."""

    @staticmethod
    def _charge(job: MemoryJob, counts: str) -> None:
        MemoryBackend._charge(job, "unknown" if counts == "releases" else counts)


# -- repeat ----------------------------------------------------------------------------------------


class RepeatedIsLost(MemoryBackend):
    """Remembers nothing of an attempt that has ended."""

    def _settle(self, transition: Transition) -> None:
        super()._settle(transition)
        if transition.fence is not None:
            self._jobs[transition.fence.id].settled = None


class RepeatedPerConnection(MemoryBackend):
    """Remembers in the connection what it has sent."""

    def another(self) -> Backend:
        return _Forgetful(self)


class _Forgetful(Delegate):
    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        answers = await super().commit(transitions)
        return [LOST if answer.status == "repeated" else answer for answer in answers]


class RepeatsWrites(MemoryBackend):
    """Answers that it was repeated, and does it again."""

    def _apply(self, transition: Transition) -> Answer:
        answer = super()._apply(transition)
        if answer.status == "repeated":
            for put in transition.put:
                self._write(put)
        return answer


class AnySettleIsARepeat(MemoryBackend):
    """Looks at the attempt, and not at what it says now."""

    def _guard_fence(self, fence: Fence, transition: Transition) -> Answer | None:
        job = self._jobs.get(fence.id)
        mine = job is not None and (job.attempt, job.holder) == (fence.attempt, fence.holder)
        if mine and job is not None and job.state is not State.RUNNING:
            return REPEATED
        return super()._guard_fence(fence, transition)


class ReleasesUnfenced(MemoryBackend):
    """Thinks that giving back can do no harm."""

    def _guard_fence(self, fence: Fence, transition: Transition) -> Answer | None:
        job = self._jobs.get(fence.id)
        running = job is not None and job.state is State.RUNNING
        if running and isinstance(transition.settle, Release):
            return None
        return super()._guard_fence(fence, transition)


# -- batches ---------------------------------------------------------------------------------------


class AnswersNobody(MemoryBackend):
    """Always has an answer."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        return await super().commit(transitions) or [APPLIED]


class RefusedFailsNeighbours(MemoryBackend):
    """Answers for a whole transaction."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        answers = await super().commit(transitions)
        refused = [answer for answer in answers if not answer.ok]
        return refused[:1] * len(answers) if refused else answers


class GuardsBeforeTheBatch(MemoryBackend):
    """Checks everything first, then writes everything."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        guarded = [(self._guard(each), replace(each, expect={})) for each in transitions]
        return [answer or self._apply(each) for answer, each in guarded]


class PartsOvertake(MemoryBackend):
    """Sends the parts of a long list at once, and the last one is the quickest."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        answers: list[Answer] = []
        for start in reversed(range(0, len(transitions), MAX_BATCH)):
            part = transitions[start : start + MAX_BATCH]
            answers = [*await super().commit(part), *answers]
        return answers


class LargeFirst(MemoryBackend):
    """Packs by size."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        places = sorted(range(len(transitions)), key=lambda place: -size(transitions[place]))
        answers = await super().commit([transitions[place] for place in places])
        return [answers[places.index(place)] for place in range(len(places))]


class SharesAnswers(MemoryBackend):
    """Puts the answers down, and takes them up again a little later."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        self._answers = await super().commit(transitions)
        await asyncio.sleep(0)
        return self._answers


class LastResultForAll(MemoryBackend):
    """Binds a variable of the loop late."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        ends = [each.settle for each in transitions if each.settle is not None]
        return await super().commit(
            [replace(each, settle=ends[-1]) if each.settle else each for each in transitions]
        )
