"""The children of one supervisor: started, given work, replaced when they die."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Sequence

from ropeway.message import Delivery, Fence, Kind, Outcome
from ropeway.store import Backend
from ropeway.worker.frames import Manifest
from ropeway.worker.places import OnEnded
from ropeway.worker.process import ChildProcess

log = logging.getLogger("ropeway.worker")

_LONGEST_PAUSE = 30.0


class StartFailed(Exception):
    """A child ended before it had imported the app; its own words are on stderr already."""

    def __init__(self, child: ChildProcess) -> None:
        super().__init__(f"the app could not be imported: the child {child.how_it_ended()}")
        self.exit_code = max(1, child.exit_code or 1)


class Fleet:
    """Keeps `size` children alive. `freed` is set whenever there may be new room."""

    def __init__(self, target: str, size: int, slots: dict[Kind, int], on_ended: OnEnded) -> None:
        self.freed = asyncio.Event()
        self._target, self._size, self._slots = target, size, slots
        self._tell = on_ended
        self._children: list[ChildProcess] = []
        self._spawning: set[asyncio.Task[None]] = set()
        self._lifeline: str | None = None
        self._backend: Backend | None = None
        self._failures = 0
        self._proven = False
        self._draining = False

    async def start(self) -> Manifest:
        """Start one child, and the others once it has shown that the app can be imported."""
        first = await self._spawn()
        self._proven = True
        for _ in range(self._size - 1):
            self._spawn_later(0.0)
        return await first.manifest

    @property
    def children(self) -> list[ChildProcess]:
        """Those that have imported the app and take calls."""
        return [child for child in self._children if child.windows and not child.stopping]

    @property
    def busy(self) -> int:
        """How many calls the children hold."""
        return sum(child.busy for child in self._children)

    def room(self) -> dict[Kind, int]:
        """How many more calls of each kind could be handed over now."""
        room: dict[Kind, int] = dict.fromkeys(self._slots, 0)
        for child in self.children:
            for kind, window in child.windows.items():
                room[kind] += window.room
        return room

    def run(self, deliveries: Sequence[tuple[Delivery, Kind]]) -> list[Delivery]:
        """Share out calls, each to the child with the most room; return those with no place."""
        shares: dict[ChildProcess, list[tuple[Delivery, Kind]]] = {}
        children = self.children
        room = {kind: {each: each.windows[kind].room for each in children} for kind in self._slots}
        excess: list[Delivery] = []
        for delivery, kind in deliveries:
            places = room[kind]
            best = max(places, key=places.__getitem__, default=None)
            if best is None or places[best] <= 0:
                excess.append(delivery)
                continue
            places[best] -= 1
            shares.setdefault(best, []).append((delivery, kind))
        for child, share in shares.items():
            child.run(share)
        return excess

    def hold(self, lifeline: str | None) -> None:
        """Have every child, now and later, keep the worker's lifeline."""
        self._lifeline = lifeline
        for child in self._children:
            child.hold(lifeline)

    def serve(self, backend: Backend) -> None:
        """Have `backend` do what tasks in the children ask of theirs, now and later."""
        self._backend = backend
        for child in self._children:
            child.serve(backend)

    def interrupt(self, lost: frozenset[Fence]) -> None:
        """Ask for the calls of these attempts to be stopped, wherever they run."""
        for child in self._children:
            child.interrupt(lost)

    async def recall(self) -> None:
        """Have every child give back what it has not started; none is replaced from now on."""
        self._draining = True
        await asyncio.gather(*(child.recall() for child in self.children))

    async def close(self, *, kill: bool) -> None:
        """End the children, and wait until each is dead and has given everything back."""
        self._draining = True
        for task in self._spawning:
            task.cancel()
        for child in self._children:
            child.kill() if kill else child.close()
        await asyncio.gather(*(child.gone() for child in list(self._children)))

    # -- one by one -----------------------------------------------------------------------

    async def _spawn(self) -> ChildProcess:
        child = ChildProcess(self._ended, self._gone)
        self._children.append(child)
        try:
            await child.spawn(self._target, self._slots)
        except OSError:
            self._children.remove(child)
            raise
        child.hold(self._lifeline)
        child.serve(self._backend)
        try:
            await child.manifest
        except asyncio.CancelledError:
            if not child.manifest.cancelled():
                raise
            raise StartFailed(child) from None
        self._failures = 0
        self.freed.set()
        return child

    def _spawn_later(self, pause: float) -> None:
        task = asyncio.create_task(self._spawn_after(pause))
        self._spawning.add(task)
        task.add_done_callback(self._spawning.discard)

    async def _spawn_after(self, pause: float) -> None:
        await asyncio.sleep(pause)
        try:
            await self._spawn()
        except StartFailed as error:
            if not self._draining:
                log.warning("%s; trying again", error)
        except OSError as error:
            log.warning("no child can be started: %s; trying again", error)
            self._spawn_later(random.uniform(0.5, 1.0) * _LONGEST_PAUSE / 10)

    def _ended(self, ended: list[tuple[Delivery, Outcome]]) -> None:
        self._tell(ended)
        self.freed.set()

    def _gone(self, child: ChildProcess) -> None:
        self._children.remove(child)
        self.freed.set()
        if self._draining or not self._proven:
            return
        log.warning("child %d %s; starting another", child.pid, child.how_it_ended())
        # One that lived is replaced at once; one that dies young is tried ever more slowly.
        if time.monotonic() - child.started_at > 5:
            self._failures = 0
        else:
            self._failures += 1
        ceiling = min(_LONGEST_PAUSE, 0.1 * 2 ** min(self._failures, 10))
        self._spawn_later(random.uniform(0, ceiling) if self._failures > 1 else 0.0)
