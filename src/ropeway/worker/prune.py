"""The loop that prunes: settled jobs whose time to be kept is over, a few at a time."""

from __future__ import annotations

import asyncio
import logging
import random

from ropeway.errors import RopewayError
from ropeway.store import Store

log = logging.getLogger("ropeway.worker")

EVERY = 5.0
"""Seconds between two rounds, on average; any worker prunes, and none has to."""

_BATCH = 100
_BATCHES = 200


class Pruner:
    """Removes what is over, in batches so small that nobody waits for one."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self) -> None:
        """Prune for ever."""
        while True:
            # Spread at random, so that many workers do not all look at once.
            await asyncio.sleep(random.uniform(0.5, 1.5) * EVERY)
            try:
                await self.run_once()
            except RopewayError as error:
                log.warning("nothing can be pruned: %s", error.fact)

    async def run_once(self) -> int:
        """Prune until nothing is over, or for a bounded number of batches; returns how many."""
        removed = 0
        for _ in range(_BATCHES):
            batch = await self._store.prune(_BATCH)
            removed += batch
            if batch < _BATCH:
                break
        return removed
