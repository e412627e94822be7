"""The loop that renews: every lease of this supervisor in one call, three times per lease."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ropeway.broker import Broker
from ropeway.errors import RopewayError
from ropeway.message import Fence
from ropeway.worker.held import Held

log = logging.getLogger("ropeway.worker")


class Renewer:
    """Keeps what is held from being handed to others, and tells `on_lost` of what was."""

    def __init__(
        self, backend: Broker, held: Held, lease: float, on_lost: Callable[[frozenset[Fence]], None]
    ) -> None:
        self._backend, self._held, self._lease, self._on_lost = backend, held, lease, on_lost

    async def run(self) -> None:
        """Renew for ever; after an error, again soon."""
        while True:
            await asyncio.sleep(self._lease / 3)
            while not await self.run_once():  # noqa: ASYNC110  it waits for a server
                await asyncio.sleep(min(1.0, self._lease / 20))

    async def run_once(self) -> bool:
        """Renew everything once; False if the backend did not answer."""
        fences = self._held.fences()
        if not fences:
            return True
        try:
            answers = await self._backend.extend(fences, self._lease)
        except RopewayError as error:
            log.warning("%d leases cannot be renewed yet: %s", len(fences), error.fact)
            return False
        lost = {fence for fence, answer in zip(fences, answers, strict=True) if answer != "held"}
        # What was settled while the answer was on its way is not lost: it is done. And of a job
        # that was given back and has come again, only the attempt before is gone.
        lost.intersection_update(self._held.fences())
        if lost:
            self._on_lost(frozenset(lost))
        return True
