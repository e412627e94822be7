"""Who waits for what, in one process."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

from ropeway.stepping import stepping

POLL = 0.25
"""Seconds after which a waiter looks by itself: a clock that is moved by hand gives no hint."""


class Hints:
    """The verb `wait`: how often each name has changed, and what each waiter has seen."""

    def __init__(self) -> None:
        self._changes: Counter[str] = Counter()
        # What the last wait that reported a name had seen.
        self._seen: dict[str, int] = {}
        self._waiters: set[asyncio.Event] = set()

    def _hint(self, name: str) -> None:
        if name in self._seen:
            self._changes[name] += 1
            for waiter in self._waiters:
                waiter.set()

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        found = self._changed(names, self._seen)
        if not found and timeout > 0:
            # Compared with what this waiter saw, so that of two that wait for a name both hear.
            seen = {name: self._changes[name] for name in names}
            if stepping():
                # No loop to wait on: only another thread can change anything meanwhile.
                time.sleep(min(timeout, POLL))  # noqa: ASYNC251  it is the caller who waits
                found = self._changed(names, seen)
            else:
                found = await self._listen(names, seen, min(timeout, POLL))
        return found or (list(names) if timeout > POLL else [])

    async def _listen(
        self, names: Sequence[str], seen: dict[str, int], timeout: float
    ) -> list[str]:
        found: list[str] = []
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout):
                while not found:
                    await waiter.wait()
                    waiter.clear()
                    found = self._changed(names, seen)
        except TimeoutError:
            pass
        finally:
            self._waiters.discard(waiter)
        return found

    def _changed(self, names: Sequence[str], seen: dict[str, int]) -> list[str]:
        found = [name for name in names if seen.get(name) != self._changes[name]]
        self._seen.update((name, self._changes[name]) for name in found)
        return found
