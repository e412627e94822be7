"""A wrapper that changes nothing: the base of those that change one verb."""

from __future__ import annotations

from collections.abc import Sequence

from ropeway.broker import Held, QueueStats
from ropeway.capabilities import Capabilities
from ropeway.claims import Claim, Limit, Meter
from ropeway.decide import Keep
from ropeway.message import Delivery, Fence, JobRecord
from ropeway.store import Backend, Causes, Count, Filter, Found
from ropeway.transition import Answer, Entry, Record, Transition


class Delegate:
    """Hands every verb to `inner`."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner

    @property
    def capabilities(self) -> Capabilities:
        return self.inner.capabilities

    async def open(self) -> None:
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()

    async def now(self) -> float:
        return await self.inner.now()

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        return await self.inner.commit(transitions)

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        return await self.inner.receive(claims, holder, lease, wait)

    async def extend(self, fences: Sequence[Fence], lease: float) -> list[Held]:
        return await self.inner.extend(fences, lease)

    async def lifeline(self, holder: str) -> str | None:
        return await self.inner.lifeline(holder)

    async def declare(self, limits: Sequence[Limit]) -> None:
        await self.inner.declare(limits)

    async def meters(self, names: Sequence[str]) -> list[Meter]:
        return await self.inner.meters(names)

    async def peek(self, queue: str, limit: int = 50) -> list[JobRecord]:
        return await self.inner.peek(queue, limit)

    async def stats(self, queues: Sequence[str] | None = None, cap: int = 0) -> list[QueueStats]:
        return await self.inner.stats(queues, cap)

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        return await self.inner.get(keys)

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        return await self.inner.scan(prefix, after, limit)

    async def read(self, log: str, after: int = 0, limit: int = 100) -> list[Entry]:
        return await self.inner.read(log, after, limit)

    async def prune(self, keep: Keep, limit: int) -> int:
        return await self.inner.prune(keep, limit)

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        return await self.inner.wait(names, timeout)

    async def search(self, which: Filter, before: str | None = None, limit: int = 50) -> Found:
        return await self.inner.search(which, before, limit)

    async def count(self, which: Filter, cap: int = 100_000) -> Count:
        return await self.inner.count(which, cap)

    async def causes(self, which: Filter, limit: int = 50) -> Causes:
        return await self.inner.causes(which, limit)
