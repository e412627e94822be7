"""Places in this very process: no child can be killed here, so what does not end is left behind."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from ropeway.message import Delivery, Fence, Kind, Outcome
from ropeway.worker.frames import Start
from ropeway.worker.hands import Hands
from ropeway.worker.locate import Application
from ropeway.worker.places import OnEnded

log = logging.getLogger("ropeway.worker")

FAREWELL = 5.0
"""Seconds that calls have to end when they are told to at once; threads hear of it late."""


class _Untraced:
    """Nobody is left to be told of this process's death."""

    def begin(self, slot: int) -> bool:
        return True

    def enter(self, place: int, slot: int) -> None: ...

    def leave(self, place: int) -> None: ...


class LocalPlaces:
    """Runs calls on the event loop it is made on, and in threads beside it."""

    def __init__(self, app: Application, slots: Mapping[Kind, int], on_ended: OnEnded) -> None:
        self.freed = asyncio.Event()
        self._slots, self._tell = slots, on_ended
        self._hands = Hands(app, slots, _Untraced(), self._ended)
        self._handed: dict[int, tuple[Delivery, Kind]] = {}
        self._numbers = itertools.count()

    async def begin(self) -> None:
        """Do what the app wants done before the first call; what that raises comes through."""
        await self._hands.begin()

    @property
    def busy(self) -> int:
        return len(self._handed)

    def room(self) -> dict[Kind, int]:
        held = Counter(kind for _, kind in self._handed.values())
        return {kind: slots - held[kind] for kind, slots in self._slots.items()}

    def run(self, deliveries: Sequence[tuple[Delivery, Kind]]) -> list[Delivery]:
        room, excess = self.room(), list[Delivery]()
        for delivery, kind in deliveries:
            if room[kind] <= 0:
                excess.append(delivery)
                continue
            room[kind] -= 1
            slot = next(self._numbers)
            self._handed[slot] = (delivery, kind)
            self._start(slot, delivery)
        return excess

    def interrupt(self, lost: frozenset[Fence]) -> None:
        newest = {fence.id: fence.attempt for fence in lost}
        self._hands.interrupt(
            slot
            for slot, (delivery, _) in list(self._handed.items())
            if delivery.fence.attempt <= newest.get(delivery.fence.id, 0)
        )

    async def recall(self) -> None:
        for slot in self._hands.recall():
            self._ended(slot, Outcome(ending="interrupted"))

    async def close(self, *, kill: bool) -> None:
        """End everything; with `kill`, what does not end in time is never heard of again.

        Its lease is not given back, since it may still be running: it ends by itself.
        """
        if kill:
            self._hands.interrupt(list(self._handed))
        self._hands.close()
        try:
            async with asyncio.timeout(FAREWELL if kill else None):
                while self._handed:
                    self.freed.clear()
                    await self.freed.wait()
        except TimeoutError:
            log.warning("%d calls do not stop; their leases run out", len(self._handed))
        await self.end()

    async def end(self) -> None:
        """Do what the app wants done after the last call."""
        await self._hands.end(FAREWELL)

    def _start(self, slot: int, delivery: Delivery) -> None:
        self._hands.start(Start.of(slot, delivery))

    def _ended(self, slot: int, outcome: Outcome) -> None:
        delivery, _ = self._handed.pop(slot)
        self._tell([(delivery, outcome)])
        self.freed.set()
