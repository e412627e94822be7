"""Samples of how things are, taken while somebody looks, and shared by all who do."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from ropeway.errors import RopewayError
from ropeway.operate.facts import Facts, gather
from ropeway.operate.flow import Sample, sample_of
from ropeway.operate.queue import CAP
from ropeway.store import Backend

EVERY = 2.0
KEPT = 300
"""Samples are kept for ten minutes, in memory: the charts begin anew with the process."""

_IDLE = 600.0


class Sampler:
    """Looks every two seconds, until nobody has asked for ten minutes."""

    def __init__(self, store: Callable[[], Backend], *, every: float = EVERY) -> None:
        self._store = store
        self._every = every
        self._asked = 0.0
        self._task: asyncio.Task[None] | None = None
        self._facts: tuple[float, Facts] | None = None
        self._era = 0
        self.samples: deque[Sample] = deque(maxlen=KEPT)

    async def facts(self) -> Facts:
        """Return how things are, as they were at most one pause ago."""
        self._asked = time.monotonic()
        known = self._facts
        if known is None or self._asked - known[0] >= self._every:
            found = await self._look()
        else:
            found = known[1]
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        return found

    def forget(self) -> None:
        """Look anew when somebody asks: something was changed here."""
        self._facts = None
        self._era += 1

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while time.monotonic() - self._asked < _IDLE:
            await asyncio.sleep(self._every)
            try:
                await self._look()
            except RopewayError:
                self._facts = None  # who asks next is told what is wrong
            except Exception:  # noqa: BLE001  # a process that ends, say: whoever asks next meets it
                self._facts = None
                return

    async def _look(self) -> Facts:
        era = self._era
        facts = await gather(self._store(), CAP)
        if era == self._era:  # else something was changed meanwhile
            self._facts = time.monotonic(), facts
        if not self.samples or facts.now - self.samples[-1].at >= self._every / 2:
            self.samples.append(sample_of(facts))
        return facts
