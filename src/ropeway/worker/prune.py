"""The loop that prunes: what waits past its time ends, and what need not be kept goes."""

from __future__ import annotations

import asyncio
import random

from ropeway.blobs import is_time_to_sweep, sweep_some
from ropeway.decide import Keep
from ropeway.errors import RopewayError
from ropeway.store import Store
from ropeway.worker.patience import Patience

EVERY = 5.0
"""Seconds between two rounds, on average; any worker prunes, and none has to."""

_BATCH = 20_000
_LONG = 30.0
"""Seconds that one batch may take where others write, too."""


class Pruner:
    """Has the store remove what need not be kept."""

    def __init__(self, store: Store, keep: Keep) -> None:
        self._store, self._keep = store, keep
        self.patience = Patience("old records are removed")

    async def run(self) -> None:
        """Prune for ever."""
        while True:
            # Spread at random, so that many workers do not all look at once.
            await asyncio.sleep(random.uniform(0.5, 1.5) * EVERY)
            try:
                await self.run_once()
            except RopewayError as error:
                await self.patience.rest(error)

    async def run_once(self) -> int:
        """Prune until nothing is over; returns how many jobs were changed."""
        changed = 0
        while (batch := await self._batch()) > 0:
            changed += batch
        if await self.patience.ask(is_time_to_sweep(self._store)):
            await self._sweep()
        return changed

    async def _sweep(self) -> None:
        after, _ = await self.patience.ask(sweep_some(self._store), _LONG)
        while after:
            after, _ = await self.patience.ask(sweep_some(self._store, after), _LONG)

    async def _batch(self) -> int:
        return await self.patience.ask(self._store.prune(self._keep, _BATCH), _LONG)
