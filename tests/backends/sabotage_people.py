"""Backends with one defect each in what a person does to jobs that have ended."""

from __future__ import annotations

import heapq

from msgspec.structs import replace

from ropeway.backends.memory import MemoryBackend
from ropeway.clock import ManualClock
from ropeway.decide import Keep
from ropeway.ids import new_id
from ropeway.states import State
from ropeway.transition import Answer, Arrive, Cancel, Remove, Revive, Transition
from tests.backends.sabotage_claims import HintsRequired

# -- revive ----------------------------------------------------------------------------------------


class RevivesAsAnother(MemoryBackend):
    """Sends a copy, as peers do."""

    def _revive(self, revive: Revive) -> None:
        self._publish(replace(self._jobs[revive.id].message, id=new_id()))


class RevivesWithItsPast(MemoryBackend):
    """Only moves it back."""

    def _revive(self, revive: Revive) -> None:
        job = self._jobs[revive.id]
        before = (job.failures, job.losses, job.releases)
        super()._revive(revive)
        job.failures, job.losses, job.releases = before


class RevivesTheOldDate(MemoryBackend):
    """Keeps when it was sent."""

    def _revive(self, revive: Revive) -> None:
        enqueued = self._jobs[revive.id].enqueued
        super()._revive(revive)
        self._jobs[revive.id].enqueued = enqueued


class RevivesTheAttempt(MemoryBackend):
    """Has it begin anew, with its first attempt."""

    def _revive(self, revive: Revive) -> None:
        super()._revive(revive)
        job = self._jobs[revive.id]
        job.attempt = job.releases = 0


class RevivesThroughACodec(MemoryBackend):
    """Reads and writes the body on its way."""

    def _revive(self, revive: Revive) -> None:
        super()._revive(revive)
        job = self._jobs[revive.id]
        text = job.message.body.decode("utf-8", "replace")
        job.message = replace(job.message, body=text.encode())


class RevivesTheBodyAlone(MemoryBackend):
    """Knows of one thing that may be wrong with a message."""

    def _revive(self, revive: Revive) -> None:
        if revive.message is not None:
            old = self._jobs[revive.id].message
            message = replace(old, body=revive.message.body)
            revive = replace(revive, message=message)
        super()._revive(revive)


class RevivesAtOnce(MemoryBackend):
    """Puts it back where it was."""

    def _revive(self, revive: Revive) -> None:
        super()._revive(replace(revive, due=self._jobs[revive.id].due))


class RevivesWhatRuns(MemoryBackend):
    """`update ... set state = 'queued' where id = ?`."""

    def _guard(self, transition: Transition) -> Answer | None:
        known = [each for each in transition.revive if each.id in self._jobs]
        return super()._guard(replace(transition, revive=())) if known else None

    def _revive(self, revive: Revive) -> None:
        job = self._jobs.get(revive.id)
        if job is not None and job.state is State.RUNNING:
            self._free(job)
            job.state = State.FAILED
        if job is not None:
            super()._revive(revive)


class RevivesWhateverItIs(MemoryBackend):
    """Looks at the state and not at the version."""

    def _guard(self, transition: Transition) -> Answer | None:
        if transition.revive:
            transition = replace(transition, expect={})
        return super()._guard(transition)


class RevivesUpToTheFirstConflict(MemoryBackend):
    """Finds a conflict when it gets to it."""

    def _apply(self, transition: Transition) -> Answer:
        answer = super()._apply(transition)
        if answer.reason == "conflict":
            for each in transition.revive:
                if each.id in self._jobs:
                    self._revive(each)
        return answer


class RevivesTwice(MemoryBackend):
    """Puts it in line as often as it is named."""

    def _revive(self, revive: Revive) -> None:
        self._jobs[revive.id].state = State.FAILED
        super()._revive(revive)


class RevivedPassTheKey(MemoryBackend):
    """Has the key looked at when a message is sent."""

    def _revive(self, revive: Revive) -> None:
        super()._revive(revive)
        job = self._jobs[revive.id]
        job.entry = (job.place, job.serial, job.message.id)
        heapq.heappush(
            self._line._ready[job.message.queue][job.message.kind, job.message.band], job.entry
        )


class RevivedForgetLimits(MemoryBackend):
    """Lets it go around the line."""

    def _revive(self, revive: Revive) -> None:
        message = self._jobs[revive.id].message
        super()._revive(replace(revive, message=replace(message, limits=())))


class RevivesTheWishToCancel(MemoryBackend):
    """Forgets such a wish when the job is cancelled."""

    def _revive(self, revive: Revive) -> None:
        flagged = revive.id in self._flagged
        super()._revive(revive)
        self._jobs[revive.id].cancelling = flagged

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._flagged: set[str] = set()

    def _flag(self, cancel: Cancel) -> bool:
        self._flagged.add(cancel.id)
        return super()._flag(cancel)


class PrunesTheRevived(MemoryBackend):
    """Goes by the time that was written at the end."""

    async def prune(self, keep: Keep, limit: int) -> int:
        now = self._clock.now()
        for job_id, job in list(self._jobs.items()):
            if job.purge and (job.purge <= now or not keep.failure):
                del self._jobs[job_id]
        return await super().prune(keep, limit)


class RevivedArriveAnew(MemoryBackend):
    """Forgets what it had arrived at."""

    def _apply(self, transition: Transition) -> Answer:
        named = tuple(
            replace(each, member=each.member + str(self._serial + len(self._named)))
            for each in transition.arrive
        )
        self._named += named
        return super()._apply(replace(transition, arrive=named))

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._named: tuple[Arrive, ...] = ()


class RevivalsAreNotTold(HintsRequired):
    """Tells queues of what is sent."""

    quiet = False

    def _revive(self, revive: Revive) -> None:
        self.quiet = True
        super()._revive(revive)
        self.quiet = False

    def _hint(self, name: str) -> None:
        if not (self.quiet and name.startswith("queue/")):
            super()._hint(name)


class SettledAreQuiet(HintsRequired):
    """Takes what has ended for what cannot change."""

    quiet = False

    def _revive(self, revive: Revive) -> None:
        self.quiet = True
        super()._revive(revive)
        self.quiet = False

    def _hint(self, name: str) -> None:
        if not (self.quiet and name.startswith("job/")):
            super()._hint(name)


# -- remove ----------------------------------------------------------------------------------------


class RemovesFromSight(MemoryBackend):
    """Has it pruned some time."""

    def _remove(self, remove: Remove) -> None:
        self._jobs[remove.id].purge = 0.0


class RemovesWhatRuns(MemoryBackend):
    """`delete ... where id = ?`."""

    def _guard(self, transition: Transition) -> Answer | None:
        return super()._guard(replace(transition, remove=()))

    def _remove(self, remove: Remove) -> None:
        self._jobs.pop(remove.id, None)


class RefusesToRemoveTheRemoved(MemoryBackend):
    """Takes what is unknown for a mistake."""

    def _guard(self, transition: Transition) -> Answer | None:
        if any(each.id not in self._jobs for each in transition.remove):
            return Answer(status="refused", reason="conflict")
        return super()._guard(transition)
