"""The loop that chooses how many children there are, by what waits and what is busy."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from ropeway.claims import serves
from ropeway.errors import RopewayError
from ropeway.pauses import Pauses
from ropeway.resources import split
from ropeway.store import Backend
from ropeway.worker.fleet import Fleet

log = logging.getLogger("ropeway.worker")

_PERIOD = 1.0
_LATE = 1.0
"""Seconds that a job has waited, if children are missing and it is not merely on its way."""

_PATIENCE, _IDLE = 1.5, 30.0
"""Seconds for which there must be too few children, or too many, until their number changes."""


class Gauge:
    """Decides how many children there should be, from one look after the other.

    More are wanted when jobs are late and there is no room for them: neither a long queue that
    moves nor a full child with nothing behind it is a reason. Fewer are wanted when half the slots
    of one child less would do. Both must last, so that the number does not swing.
    """

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = least, most
        self._crowded_since: float | None = None
        self._idle_since: float | None = None

    def look(self, now: float, size: int, busy: float, late: float) -> int:
        """Return the number wanted; `busy` is the share of slots, `late` how long a job waited."""
        crowded = late >= _LATE and busy >= 1.0
        idle = late < _LATE and busy * size <= 0.5 * (size - 1)
        self._crowded_since = (self._crowded_since or now) if crowded else None
        self._idle_since = (self._idle_since or now) if idle else None
        if self._crowded_since is not None and now - self._crowded_since >= _PATIENCE:
            self._crowded_since = None
            size += max(1, size // 2)
        elif self._idle_since is not None and now - self._idle_since >= _IDLE:
            self._idle_since = None
            size -= 1
        return min(max(size, self._least), self._most)


class Scaler:
    """Looks every second, and has the fleet grow or shrink between `least` and `most` children."""

    def __init__(
        self, backend: Backend, fleet: Fleet, queues: Sequence[str] | None, least: int, most: int
    ) -> None:
        self._backend, self._fleet, self._queues = backend, fleet, queues
        self._gauge = Gauge(least, most)
        self._pauses = Pauses(backend)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(_PERIOD)
            try:
                await self.run_once()
            except RopewayError as error:
                log.debug("what waits cannot be looked at: %s", error.fact)

    async def run_once(self) -> None:
        """Look once, and change the number of children if it should."""
        stats = await self._backend.stats()
        now = await self._backend.now()
        waiting = {each.queue: each.oldest_due for each in stats if self._is_ours(each.queue)}
        claimed = await self._pauses.open_ones(list(waiting))
        late = max((now - due for each in claimed if (due := waiting[each]) is not None), default=0)
        size = self._fleet.size
        wanted = self._gauge.look(time.monotonic(), size, self._fleet.load(), late)
        if wanted != size:
            log.info("%d children instead of %d: jobs wait %.1f s", wanted, size, max(0.0, late))
            self._fleet.resize(wanted)

    def _is_ours(self, queue: str) -> bool:
        """Whether more children may help there: they bring no more of a resource."""
        return serves(self._queues, queue) and not split(queue)[1]
