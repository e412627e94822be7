"""Backends with one defect each in how many they let wait in a queue, and in what they note."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from ropeway.backends.memory import MemoryBackend, look
from ropeway.decide import Keep
from ropeway.message import JobRecord
from ropeway.store import queue_name
from ropeway.transition import Answer, Drop, Transition


class HasRoomForEverything(MemoryBackend):
    """Knows no limit."""

    def _guard_room(self, room: Mapping[str, int], fresh: Mapping[str, int]) -> Answer | None:
        return None


class CountsWhatIsDue(MemoryBackend):
    """Counts what a worker could have now."""

    def _guard_room(self, room: Mapping[str, int], fresh: Mapping[str, int]) -> Answer | None:
        for queue, most in room.items():
            ready = look.stats(queue, [*self._jobs.values()], 1000, self._clock.now()).ready
            if ready + fresh.get(queue, 0) > most:
                return Answer(status="refused", reason="full", key=queue_name(queue), current=ready)
        return None


class LooksAtRoomFirst(MemoryBackend):
    """Refuses what is there already."""

    def _guard(self, transition: Transition) -> Answer | None:
        coming = [each.queue for each in transition.publish]
        fresh = {queue: coming.count(queue) for queue in coming}
        return self._guard_room(transition.room, fresh) or super()._guard(transition)


class CancelsFirst(MemoryBackend):
    """Makes room with what a refused transition would have cancelled."""

    def _apply(self, transition: Transition) -> Answer:
        if transition.room and transition.cancel:
            super()._apply(Transition(cancel=transition.cancel))
        return super()._apply(transition)


class LooksBeforeItTakes(MemoryBackend):
    """Asks for the room in one step, and takes it in another."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        refused = [self._guard(each) if each.room else None for each in transitions]
        await asyncio.sleep(0)
        taken = [replace(each, room={}) for each in transitions]
        answers = await super().commit(taken)
        return [said or answer for said, answer in zip(refused, answers, strict=True)]


class NotesNothing(MemoryBackend):
    """Ends what is late, and tells nobody."""

    async def prune(self, keep: Keep, limit: int) -> int:
        return await super().prune(replace(keep, noted=()), limit)


# -- options of queues --------------------------------------------------------------------


class PeeksBackwards(MemoryBackend):
    """Shows what came last first."""

    async def peek(self, queue: str, limit: int = 50) -> list[JobRecord]:
        return (await super().peek(queue, 10_000))[::-1][:limit]


class SettlesAlone(MemoryBackend):
    """Loses what a settle publishes."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        alone = [replace(each, publish=()) if each.fence else each for each in transitions]
        return await super().commit(alone)


class KeepsWhatIsDropped(MemoryBackend):
    """Has records for ever."""

    def _drop(self, drop: Drop) -> None:
        """Do nothing."""
