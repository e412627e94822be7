"""Places in this very process: no child can be killed here, so what does not end is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence

from ropeway.message import Delivery, Fence, Kind, Outcome
from ropeway.store import Backend
from ropeway.worker.alone import Alone, Lending
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
    """Runs calls on the event loop it is made on, and in threads beside it.

    With a `backend`, which is told so, it runs those alone that may have taken a process down.
    """

    def __init__(
        self,
        app: Application,
        slots: Mapping[Kind, int],
        on_ended: OnEnded,
        backend: Backend | None = None,
    ) -> None:
        self.freed = asyncio.Event()
        self._slots, self._tell = slots, on_ended
        self._loop = asyncio.get_running_loop()
        self._lending = Lending(self._lent)
        self._hands = Hands(app, slots, _Untraced(), self._ended, self._lending)
        self._handed: dict[int, tuple[Delivery, Kind]] = {}
        self._numbers = itertools.count()
        self._alone: Alone | None = None
        if backend is not None:
            company = self._handed.__len__
            self._alone = Alone(backend, company, self._begin, self._given_back)

    async def begin(self) -> None:
        """Do what the app wants done before the first call; what that raises comes through."""
        await self._hands.begin()

    @property
    def busy(self) -> int:
        return len(self._handed) + (self._alone.waiting if self._alone is not None else 0)

    @property
    def pids(self) -> list[int]:
        """The processes that run calls: this one."""
        return [os.getpid()]

    def slots(self) -> dict[Kind, int]:
        """How many calls of each kind run at once."""
        return dict(self._slots)

    def held(self) -> dict[Kind, int]:
        """How many calls of each kind run."""
        held = Counter(kind for _, kind in self._handed.values())
        return {kind: held[kind] for kind in self._slots}

    def room(self) -> dict[Kind, int]:
        if self._alone is not None and self._alone.wanted and not self._lending.lent:
            return dict.fromkeys(self._slots, 0)
        held = self.held()
        return {kind: slots - held[kind] for kind, slots in self._slots.items()}

    @property
    def thin(self) -> bool:
        return False  # nothing is taken in advance

    def run(self, deliveries: Sequence[tuple[Delivery, Kind]]) -> list[Delivery]:
        room, excess = self.room(), list[Delivery]()
        for delivery, kind in deliveries:
            if delivery.solo and self._alone is not None:
                self._alone.admit(delivery, kind)
            elif room[kind] <= 0:
                excess.append(delivery)
            else:
                room[kind] -= 1
                self._begin(delivery, kind)
        return excess

    async def stacks(self) -> dict[int, str]:
        """Say what this process is doing, under its pid."""
        return {os.getpid(): self._hands.stacks()}

    def interrupt(self, lost: frozenset[Fence]) -> None:
        if self._alone is not None:
            self._alone.drop(lost)
        newest = {fence.id: fence.attempt for fence in lost}
        self._hands.interrupt(
            slot
            for slot, (delivery, _) in list(self._handed.items())
            if delivery.fence.attempt <= newest.get(delivery.fence.id, 0)
        )

    async def recall(self) -> None:
        if self._alone is not None:
            self._alone.close()
        for slot in self._hands.recall():
            self._ended(slot, Outcome(ending="interrupted"))

    async def close(self, *, kill: bool) -> None:
        """End everything; with `kill`, what does not end in time is never heard of again.

        Its lease is not given back, since it may still be running: it ends by itself.
        """
        if self._alone is not None:
            self._alone.close()
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

    def _begin(self, delivery: Delivery, kind: Kind) -> None:
        slot = next(self._numbers)
        self._handed[slot] = (delivery, kind)
        self._start(slot, delivery)

    def _start(self, slot: int, delivery: Delivery) -> None:
        self._hands.start(Start.of(slot, delivery))

    def _ended(self, slot: int, outcome: Outcome) -> None:
        delivery, _ = self._handed.pop(slot)
        self._tell([(delivery, outcome)])
        if self._alone is not None:
            self._alone.ended()
        self.freed.set()

    def _lent(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            self._loop.call_soon_threadsafe(self.freed.set)

    def _given_back(self, ended: list[tuple[Delivery, Outcome]]) -> None:
        self._tell(ended)
        self.freed.set()
