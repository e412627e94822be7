"""Backends with one defect each in what they do with kinds."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from ropeway.backends.memory.job import MemoryJob
from ropeway.backends.memory.keys import Keys
from ropeway.backends.memory.limits import Limits
from ropeway.backends.memory.line import Line
from ropeway.claims import Claim
from ropeway.message import Delivery
from ropeway.store import queue_name
from tests.backends.sabotage_claims import HintsRequired
from tests.backends.sabotage_fleet import WithParts


class IgnoresKinds(WithParts):
    """Does not look at what it is asked for."""

    def _due(self, claim: Claim, n: int) -> list[MemoryJob]:
        return super()._due(replace(claim, kinds=None), n)


class ChoosesAmongTheFirst(WithParts):
    """Takes what it wants of the first hundred."""

    class Lined(Line):
        def take(self, claim: Claim, n: int, now: float) -> list[MemoryJob]:
            found = super().take(replace(claim, kinds=None), 100, now)
            mine = [job for job in found if job.message.kind in claim.wanted][:n]
            for job in found:
                if job not in mine:
                    self.limits.give_back(job.message.limits)
                    self.push(job)
            return mine


class KindByKind(WithParts):
    """Asks one lane after the other."""

    class Lined(Line):
        def take(self, claim: Claim, n: int, now: float) -> list[MemoryJob]:
            found: list[MemoryJob] = []
            for kind in claim.kinds or ("threads", "loop", "cpu"):
                found += super().take(replace(claim, kinds=(kind,)), n - len(found), now)
            return found


class KeysOfOneKind(WithParts):
    """Has a line for each kind of a key."""

    class Keyed(Keys):
        def enter(self, job: MemoryJob) -> None:
            super().enter(_apart(job))

        def is_free(self, job: MemoryJob) -> bool:
            return super().is_free(_apart(job))

        def leave(self, job: MemoryJob) -> str | None:
            return super().leave(_apart(job))


def _apart(job: MemoryJob) -> MemoryJob:
    key = job.message.key
    apart = key and f"{key} {job.message.kind}"
    return replace(job, message=replace(job.message, key=apart))


class ExpiredOfAllKinds(WithParts):
    """Recovers without a look at the claim."""

    def _expired(self, claim: Claim) -> Iterator[MemoryJob]:
        return super()._expired(replace(claim, kinds=None))


class TheFirstInLineBlocks(WithParts):
    """Frees as many as have room, of whatever kind."""

    class Limited(Limits):
        """Honest."""

    class Lined(Line):
        def _return(self, claim: Claim, now: float) -> None:
            for (_, name), aside in list(self._aside[claim.queue].items()):
                lines = [heap for (_, of), heap in self._aside[claim.queue].items() if of == name]
                first = min((heap for heap in lines if self._first(heap)), default=None)
                if first is aside and self.limits.room(name, now) not in {0, math.inf}:
                    self.push(self._jobs[first.pop(0)[2]])
                    return


class WakesOnce(HintsRequired):
    """Looks when something has come, and then no more."""

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        names = [queue_name(claim.queue) for claim in claims]
        self._changed(names, self._seen)
        found = await super().receive(claims, holder, lease)
        if not found and wait:
            await self.wait(names, wait)
            found = await super().receive(claims, holder, lease)
        if not found and wait:
            await asyncio.sleep(wait)
        return found
