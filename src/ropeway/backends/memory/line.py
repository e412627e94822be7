"""What waits, in the order in which it is handed out."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Mapping

from ropeway.backends.memory.job import Entry, MemoryJob
from ropeway.backends.memory.keys import Keys
from ropeway.backends.memory.limits import Limits
from ropeway.claims import AGEING, Claim, next_turn
from ropeway.states import State


class Line:
    """The waiting messages by queue and band, and those aside that wait for a limit.

    Entries that no longer hold are dropped when they are met.
    """

    def __init__(self, jobs: Mapping[str, MemoryJob]) -> None:
        self._jobs = jobs
        self.keys, self.limits = Keys(), Limits()
        self._ready: dict[str, dict[int, list[Entry]]] = defaultdict(lambda: defaultdict(list))
        self._aside: dict[str, dict[str, list[Entry]]] = defaultdict(lambda: defaultdict(list))

    def push(self, job: MemoryJob) -> None:
        """Let a waiting job be handed out, unless its key has another one before it."""
        if job.state is State.QUEUED and self.keys.is_free(job):
            job.entry = (job.place, job.serial, job.message.id)
            heapq.heappush(self._ready[job.message.queue][job.message.band], job.entry)

    def enter(self, job: MemoryJob) -> None:
        """Take in a job that has come to its queue."""
        self.keys.enter(job)
        self.push(job)

    def leave(self, job: MemoryJob, now: float) -> bool:
        """Let go of a job that has ended or changes its queue; tell whether that frees another.

        The next of its key goes behind whatever is ready, so that keys take turns.
        """
        job.entry = None
        freed = self.keys.leave(job)
        if freed is not None:
            follower = self._jobs[freed]
            follower.place = max(follower.due, now)
            self.push(follower)
        return freed is not None

    def give_back(self, job: MemoryJob) -> list[str]:
        """A leased job is leased no longer; returns the queues in which that may free another."""
        self.limits.give_back(job.message.limits)
        return self.waiting_for(*job.message.limits)

    def waiting_for(self, *limits: str) -> list[str]:
        """Return the queues in which something waits for one of the limits."""
        return [queue for queue, aside in self._aside.items() if aside.keys() & set(limits)]

    def take(self, claim: Claim, n: int, now: float) -> list[MemoryJob]:
        """Remove and return the first `n` that are due and that no limit holds back."""
        self._return(claim.queue, now)
        bands, found = self._ready[claim.queue], list[MemoryJob]()
        while len(found) < n and (turn := next_turn(self._heads(claim), now)):
            job = self._jobs[heapq.heappop(bands[turn[0]])[2]]
            full = self.limits.without_room(job.message.limits, now)
            if full is None:
                self.limits.take(job.message.limits, now)
                job.entry = None
                found.append(job)
            else:
                job.entry = (job.place - AGEING * job.message.band, job.serial, job.message.id)
                heapq.heappush(self._aside[claim.queue][full], job.entry)
        return found

    def ready_at(self, claim: Claim, now: float) -> float:
        """Return when something may be handed out, as far as is known."""
        limits = [name for name, aside in self._aside[claim.queue].items() if self._first(aside)]
        rooms = (self.limits.room_at(name, now) for name in limits)
        return min((*self._heads(claim).values(), *rooms), default=math.inf)

    def _return(self, queue: str, now: float) -> None:
        """Put as many back that waited for a limit as have room by now."""
        for name, aside in list(self._aside[queue].items()):
            room = self.limits.room(name, now)
            while room > 0 and (first := self._first(aside)):
                heapq.heappop(aside)
                self.push(self._jobs[first[2]])
                room -= 1
            if not aside:
                del self._aside[queue][name]

    def _heads(self, claim: Claim) -> dict[int, float]:
        bands = self._ready[claim.queue]
        heads = {band: self._first(bands[band]) for band in range(claim.lowest, claim.highest + 1)}
        return {band: first[0] for band, first in heads.items() if first}

    def _first(self, heap: list[Entry]) -> Entry | None:
        while heap and not self._holds(heap[0]):
            heapq.heappop(heap)
        return heap[0] if heap else None

    def _holds(self, entry: Entry) -> bool:
        job = self._jobs.get(entry[2])
        return job is not None and job.entry is entry
