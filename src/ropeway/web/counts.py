"""Counts beside a page: they never hold it up, are kept for a while, and are shared by all who look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from ropeway.errors import RopewayError
from ropeway.store import Backend, Count, Filter

CAP = 1_000
"""Counting stops here; the page says so with a plus."""

KEPT = 5.0
"""Seconds after which a count is taken anew, if somebody still asks."""

PATIENCE = 0.02
"""So long a page waits for counts that nobody has taken yet; the next one has them."""

_SHARE = 20
"""Counting takes at most one in so many seconds."""

_FORGOTTEN = 60.0


class _Kept:
    """What was counted for one search, and what counts it anew."""

    def __init__(self, counts: list[Count | None]) -> None:
        self.counts = counts
        self.until = 0.0
        self.asked = 0.0
        self.task: asyncio.Task[None] | None = None


class Counts:
    """Counts of jobs, by the search that they are for."""

    def __init__(self, store: Callable[[], Backend]) -> None:
        self._store = store
        self._kept: dict[str, _Kept] = {}

    async def of(self, key: str, filters: Sequence[Filter]) -> list[Count | None]:
        """Return how many jobs each filter lets through, None where that is not known yet.

        Filters with the same `key` mean the same, whatever instants are in them.
        """
        now = time.monotonic()
        self._forget(now)
        kept = self._kept.setdefault(key, _Kept([None] * len(filters)))
        kept.asked = now
        if (kept.task is None or kept.task.done()) and now >= kept.until:
            kept.task = asyncio.create_task(self._count(kept, filters))
        if kept.task is not None and None in kept.counts:
            await asyncio.wait({kept.task}, timeout=PATIENCE)
        return list(kept.counts)

    async def close(self) -> None:
        """Count no more."""
        tasks = [kept.task for kept in self._kept.values() if kept.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _count(self, kept: _Kept, filters: Sequence[Filter]) -> None:
        begun = time.monotonic()
        try:
            for at, which in enumerate(filters):
                kept.counts[at] = await self._store().count(which, CAP)
        except (RopewayError, RuntimeError):
            pass  # the page says what is wrong; the latter is a process that ends
        took = time.monotonic() - begun
        kept.until = begun + max(KEPT, took * _SHARE)

    def _forget(self, now: float) -> None:
        old = [key for key, kept in self._kept.items() if now - kept.asked > _FORGOTTEN]
        for key in old:
            del self._kept[key]
