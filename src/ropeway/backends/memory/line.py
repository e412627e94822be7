"""What waits, in the order in which it is handed out."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Mapping
from typing import TypeVar

from ropeway.backends.memory.job import Entry, MemoryJob
from ropeway.backends.memory.keys import Keys
from ropeway.backends.memory.limits import Limits
from ropeway.claims import AGEING, Claim, next_turn
from ropeway.message import Kind
from ropeway.states import State

T = TypeVar("T")
_ByQueue = defaultdict[str, defaultdict[tuple[Kind, T], list[Entry]]]


class Line:
    """The waiting messages by queue, kind and band, and those aside that wait for a limit.

    Entries that no longer hold are dropped when they are met.
    """

    def __init__(self, jobs: Mapping[str, MemoryJob]) -> None:
        self._jobs = jobs
        self.keys, self.limits = Keys(), Limits()
        self._ready: _ByQueue[int] = defaultdict(lambda: defaultdict(list))
        self._aside: _ByQueue[str] = defaultdict(lambda: defaultdict(list))

    def push(self, job: MemoryJob) -> None:
        """Let a waiting job be handed out, unless its key has another one before it."""
        if job.state is State.QUEUED and self.keys.is_free(job):
            job.entry = (job.place, job.serial, job.message.id)
            lane = job.message.kind, job.message.band
            heapq.heappush(self._ready[job.message.queue][lane], job.entry)

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
        return [
            queue
            for queue, aside in self._aside.items()
            if any(name in limits for _, name in aside)
        ]

    def take(self, claim: Claim, n: int, now: float) -> list[MemoryJob]:
        """Remove and return the first `n` that are due and that no limit holds back."""
        self._return(claim, now)
        found = list[MemoryJob]()
        while len(found) < n and (turn := next_turn(self._heads(claim), now)):
            job = self._pop(claim, turn[0])
            full = self.limits.without_room(job.message.limits, now)
            if full is None:
                self.limits.take(job.message.limits, now)
                job.entry = None
                found.append(job)
            else:
                job.entry = (job.place - AGEING * job.message.band, job.serial, job.message.id)
                heapq.heappush(self._aside[claim.queue][job.message.kind, full], job.entry)
        return found

    def ready_at(self, claim: Claim, now: float) -> float:
        """Return when something may be handed out, as far as is known."""
        rooms = (
            self.limits.room_at(name, now)
            for (kind, name), aside in self._aside[claim.queue].items()
            if kind in claim.wanted and self._first(aside)
        )
        return min((*self._heads(claim).values(), *rooms), default=math.inf)

    def _return(self, claim: Claim, now: float) -> None:
        """Put as many back that waited for a limit as have room by now."""
        for (kind, name), aside in list(self._aside[claim.queue].items()):
            room = self.limits.room(name, now) if kind in claim.wanted else 0
            while room > 0 and (first := self._first(aside)):
                heapq.heappop(aside)
                self.push(self._jobs[first[2]])
                room -= 1
            if not aside:
                del self._aside[claim.queue][kind, name]

    def _heads(self, claim: Claim) -> dict[int, float]:
        heads: dict[int, float] = {}
        for (kind, band), heap in self._ready[claim.queue].items():
            wanted = claim.lowest <= band <= claim.highest and kind in claim.wanted
            if wanted and (first := self._first(heap)):
                heads[band] = min(first[0], heads.get(band, first[0]))
        return heads

    def _pop(self, claim: Claim, wanted: int) -> MemoryJob:
        """Remove the first of a band, whichever of the kinds it is."""
        lanes = self._ready[claim.queue].items()
        heaps = (heap for (kind, band), heap in lanes if band == wanted and kind in claim.wanted)
        return self._jobs[heapq.heappop(min(heap for heap in heaps if self._first(heap)))[2]]

    def _first(self, heap: list[Entry]) -> Entry | None:
        while heap and not self._holds(heap[0]):
            heapq.heappop(heap)
        return heap[0] if heap else None

    def _holds(self, entry: Entry) -> bool:
        job = self._jobs.get(entry[2])
        return job is not None and job.entry is entry
