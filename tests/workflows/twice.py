"""A backend that hands out each message twice, the second time while the first attempt is alive."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from ropeway.broker import Held
from ropeway.claims import Claim
from ropeway.message import Delivery, Fence
from ropeway.store import Backend
from ropeway.transition import Answer, Release, Transition
from ropeway.wrappers.delegate import Delegate

_BRIEF = 0.001
_PATIENCE = 30.0


class Attempts:
    """What all handles of one place have handed out, and what they were told of it.

    By job: attempts that began, and ends that were applied; by join: how often it fired.
    """

    def __init__(self) -> None:
        self.handed: Counter[str] = Counter()
        self.settled: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()
        self.refused = 0
        self.overtaken = 0  # first attempts whose end was applied
        self._again: dict[str, asyncio.Event] = {}

    def hand(self, job_id: str) -> None:
        """One more attempt of a job begins."""
        self.handed[job_id] += 1
        if self.handed[job_id] > 1:
            self._of(job_id).set()

    async def second(self, job_id: str) -> None:
        """Wait until there are two."""
        async with asyncio.timeout(_PATIENCE):
            await self._of(job_id).wait()

    def _of(self, job_id: str) -> asyncio.Event:
        return self._again.setdefault(job_id, asyncio.Event())


class Twice(Delegate):
    """The lease of each first attempt is over almost at once, and who holds it never hears of that.

    What such an attempt settles arrives only when the second one has begun; and whatever settles
    arrives twice, of which the second answer is told.
    """

    def __init__(self, inner: Backend, attempts: Attempts) -> None:
        super().__init__(inner)
        self._attempts = attempts

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        deliveries = await self.inner.receive(claims, holder, lease, wait)
        first = [each.fence for each in deliveries if each.fence.attempt == 1]
        if first:
            await self.inner.extend(first, _BRIEF)
        for each in deliveries:
            self._attempts.hand(each.fence.id)
        return deliveries

    async def extend(self, fences: Sequence[Fence], lease: float) -> list[Held]:
        answers = await self.inner.extend([each for each in fences if each.attempt > 1], lease)
        told = iter(answers)
        return [next(told) if each.attempt > 1 else "held" for each in fences]

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        for each in transitions:
            if each.settle is not None and each.fence is not None and each.fence.attempt == 1:
                await self._attempts.second(each.fence.id)
        answers = await self.inner.commit(transitions)
        self._note(transitions, answers)
        if all(each.settle is not None for each in transitions):
            return await self.inner.commit(transitions)
        return answers

    def _note(self, transitions: Sequence[Transition], answers: Sequence[Answer]) -> None:
        for each, answer in zip(transitions, answers, strict=True):
            self._attempts.fired.update(answer.fired)
            if each.settle is not None and each.fence is not None:
                final = not isinstance(each.settle, Release)
                self._attempts.settled[each.fence.id] += final and answer.status == "applied"
                self._attempts.refused += not answer.ok
                self._attempts.overtaken += each.fence.attempt == 1 and answer.ok
