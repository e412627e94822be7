"""The loop that renews: every lease of this supervisor in one call, three times per lease."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from ropeway.errors import RopewayError
from ropeway.message import Fence
from ropeway.store import Backend, holder_name
from ropeway.worker.held import Held
from ropeway.worker.patience import Patience

_NAP = 0.25
"""Seconds of one wait for a hint: a hint that is lost delays nothing else, a false one is rare."""

_SHORTEST_PAUSE = 0.05


class Renewer:
    """Keeps what is held from being handed to others; interrupts what was lost or is cancelled.

    Between two renewals it listens for its holder's name, and asks at once when that is hinted. It
    listens for `bells` as well, so that the worker has one wait going and not many.
    """

    def __init__(
        self,
        backend: Backend,
        held: Held,
        holder: str,
        lease: float,
        interrupt: Callable[[frozenset[Fence]], None],
        bells: Mapping[str, Callable[[], None]] | None = None,
    ) -> None:
        self._backend, self._held, self._lease = backend, held, lease
        self._name, self._interrupt, self._bells = holder_name(holder), interrupt, bells or {}
        self.patience = Patience("leases are renewed")
        self._listening = Patience("cancellations are heard of")

    async def run(self) -> None:
        """Renew for ever; after an error, again soon."""
        while True:
            await self._rest(self._lease / 3)
            while not await self.run_once():
                pass

    async def run_once(self) -> bool:
        """Renew everything once; False, after a pause, if the backend did not answer."""
        fences = self._held.fences()
        if not fences:
            return True
        try:
            answers = await self.patience.ask(self._backend.extend(fences, self._lease))
        except RopewayError as error:
            await self.patience.rest(error)
            return False
        unwanted = {
            fence
            for fence, each in zip(fences, answers, strict=True)
            if each == "cancelled" or (each == "lost" and fence not in self._held.early)
        }
        # What was settled while the answer was on its way is not lost: it is done. And of a job
        # that was given back and has come again, only the attempt before is gone.
        unwanted.intersection_update(self._held.fences())
        if unwanted:
            self._interrupt(frozenset(unwanted))
        return True

    async def _rest(self, seconds: float) -> None:
        """Wait for the next renewal, or for a hint that something is to be cancelled."""
        until = time.monotonic() + seconds
        # However often it is hinted, the leases are not renewed all the time.
        await asyncio.sleep(min(_SHORTEST_PAUSE, seconds))
        while (left := until - time.monotonic()) > 0:
            nap = min(_NAP, left)
            try:
                listening = self._backend.wait([self._name, *self._bells], nap)
                told = await self._listening.ask(listening, nap)
            except RopewayError as error:
                await self._listening.rest(error)
                continue
            for name in self._bells.keys() & set(told):
                self._bells[name]()
            if self._name in told:
                return
