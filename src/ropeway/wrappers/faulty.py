"""A backend that misbehaves as networks and servers do, by a seed, so that it can be repeated."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from ropeway.broker import Held, QueueStats
from ropeway.claims import Claim
from ropeway.decide import Keep
from ropeway.errors import BackendUnavailable, Backpressure, Indeterminate
from ropeway.message import Delivery, Fence
from ropeway.store import Backend
from ropeway.transition import Answer, Entry, Record, Transition
from ropeway.wrappers.delegate import Delegate

T = TypeVar("T")


class Faults(Struct, frozen=True, kw_only=True):
    """How likely each fault is, at each call of a verb, from 0 to 1.

    `unavailable`: the backend cannot be reached. `full`: it takes no messages now. `request`: what
    was asked for is lost on its way. `reply`: it is done, and nobody hears of it. `twice`: a
    commit arrives twice. `late`: the call takes up to `latest` seconds longer.
    """

    unavailable: float = 0.0
    full: float = 0.0
    request: float = 0.0
    reply: float = 0.0
    twice: float = 0.0
    late: float = 0.0
    latest: float = 0.01


class Faulty(Delegate):
    """Does what it is asked for, with faults; `happened` counts them by their names."""

    def __init__(self, inner: Backend, faults: Faults, seed: int = 0) -> None:
        super().__init__(inner)
        self.faults = faults
        self.happened: Counter[str] = Counter()
        self._chance = random.Random(seed)

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        async def once_or_twice() -> list[Answer]:
            answers = await self.inner.commit(transitions)
            if self._happens("twice"):
                await self.inner.commit(transitions)
            return answers

        if any(each.publish for each in transitions) and self._happens("full"):
            raise Backpressure
        return await self._over_the_network(once_or_twice)

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        return await self._over_the_network(lambda: self.inner.receive(claims, holder, lease, wait))

    async def extend(self, fences: Sequence[Fence], lease: float) -> list[Held]:
        return await self._over_the_network(lambda: self.inner.extend(fences, lease))

    async def stats(self, queues: Sequence[str] | None = None, cap: int = 0) -> list[QueueStats]:
        return await self._over_the_network(lambda: self.inner.stats(queues, cap))

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        return await self._over_the_network(lambda: self.inner.get(keys))

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        return await self._over_the_network(lambda: self.inner.scan(prefix, after, limit))

    async def read(self, log: str, after: int = 0, limit: int = 100) -> list[Entry]:
        return await self._over_the_network(lambda: self.inner.read(log, after, limit))

    async def prune(self, keep: Keep, limit: int) -> int:
        return await self._over_the_network(lambda: self.inner.prune(keep, limit))

    async def _over_the_network(self, verb: Callable[[], Awaitable[T]]) -> T:
        if self._happens("unavailable"):
            raise BackendUnavailable
        if self._happens("request"):
            raise Indeterminate
        if self._happens("late"):
            await asyncio.sleep(self._chance.uniform(0.0, self.faults.latest))
        result = await verb()
        if self._happens("reply"):
            raise Indeterminate
        return result

    def _happens(self, fault: str) -> bool:
        likely: float = getattr(self.faults, fault)
        happens = self._chance.random() < likely
        self.happened[fault] += happens
        return happens
