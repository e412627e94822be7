"""The children of one supervisor, of every make: given work, and told what concerns them all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ropeway.message import Delivery, Fence, Kind, Outcome
from ropeway.store import Backend
from ropeway.worker.blame import INTERRUPTED
from ropeway.worker.crew import Crew
from ropeway.worker.frames import Manifest
from ropeway.worker.options import WorkerOptions
from ropeway.worker.places import OnEnded
from ropeway.worker.process import ChildProcess
from ropeway.worker.ward import Ward
from ropeway.worker.watch import Watch
from ropeway.worker.window import thin

_FREE = 1 << 16
"""What a free slot counts beside room in advance, of which no child has as much."""


class Fleet:
    """Children that run coroutines and threads, and others, if need be, for one `cpu` call each.

    `freed` is set whenever there may be new room.
    """

    def __init__(self, options: WorkerOptions, on_ended: OnEnded) -> None:
        self.freed = asyncio.Event()
        self._options, self._tell = options, on_ended
        self._common = self._crew(options.slots, options.size)
        alone = self._crew({**options.slots, "cpu": 1}, 0)
        self._crews, self._sharing = [self._common, alone], [self._common]
        self._ward = Ward(alone, options.most or options.size, self._ended)
        self._kinds: tuple[Kind, ...] = ("loop", "threads")
        self._handed = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._draining = False

    async def start(self) -> Manifest:
        """Start one child, and the others once it has shown that the app can be imported."""
        manifest = await self._common.first()
        if any(info.kind == "cpu" for info in manifest.tasks.values()):
            cpu = self._crew({"cpu": 1}, self._options.cpu_size)
            self._crews.append(cpu)
            self._sharing.append(cpu)
            self._kinds = ("loop", "threads", "cpu")
        for crew in self._crews:
            crew.fill()
        grace = float(manifest.settings["grace"])
        wear, tasks = self._options.wear, manifest.tasks
        watch = Watch(self._crews, self._ward, tasks, grace, wear, self._handed)
        self._watching = asyncio.create_task(watch.run())
        return manifest

    @property
    def busy(self) -> int:
        """How many calls the children hold."""
        return sum(child.busy for child in self._members()) + self._ward.waiting

    @property
    def pids(self) -> list[int]:
        """The processes that have imported the app, also those that get no more calls."""
        return [child.pid for child in self._members() if child.proven]

    @property
    def size(self) -> int:
        """How many children there are to be, beside those for `cpu` calls."""
        return self._common.size

    def load(self) -> float:
        """The share of slots that is taken, of the kind that has fewest free; not of `cpu`."""
        share = 0.0
        for kind, slots in self._options.slots.items():
            held = sum(child.handed.windows[kind].held for child in self._common.working)
            share = max(share, held / (slots * max(1, len(self._common.working))))
        return share

    def resize(self, size: int) -> None:
        """Have so many children from now on, beside those for `cpu` calls."""
        if not self._draining:
            self._common.resize(size)

    def slots(self) -> dict[Kind, int]:
        """How many calls of each kind run at once."""
        slots: dict[Kind, int] = dict.fromkeys(self._kinds, 0)
        for child in self._working():
            for kind, window in child.handed.windows.items():
                slots[kind] += window.slots
        return slots

    def held(self) -> dict[Kind, int]:
        """How many calls of each kind the children hold."""
        held: dict[Kind, int] = dict.fromkeys(self._kinds, 0)
        for child in self._members():
            for kind in held.keys() & child.handed.windows.keys():
                held[kind] += child.handed.windows[kind].held
        return held

    def room(self) -> dict[Kind, int]:
        """How many more calls of each kind could be handed over now."""
        room: dict[Kind, int] = dict.fromkeys(self._kinds, 0)
        for child in self._working():
            for kind, window in child.handed.windows.items():
                room[kind] += window.room
        return room

    @property
    def thin(self) -> bool:
        windows = [each.handed.windows for each in self._working()]
        return any(thin([each[kind] for each in windows if kind in each]) for kind in self._kinds)

    def run(self, deliveries: Sequence[tuple[Delivery, Kind]]) -> list[Delivery]:
        """Share out calls, each where a slot is free, else where most room is.

        Returns those with no place. One that must run alone gets a child of its own.
        """
        self._handed.set()
        shares: dict[ChildProcess, list[tuple[Delivery, Kind]]] = {}
        room: dict[Kind, dict[ChildProcess, int]] = {kind: {} for kind in self._kinds}
        for child in self._working():
            for kind, window in child.handed.windows.items():
                room[kind][child] = _FREE * window.free + window.room
        excess: list[Delivery] = []
        for delivery, kind in deliveries:
            if delivery.solo:
                self._ward.admit(delivery, kind)
                continue
            places = room[kind]
            best = max(places, key=places.__getitem__, default=None)
            if best is None or places[best] <= 0:
                excess.append(delivery)
                continue
            places[best] -= 1 if places[best] < _FREE else _FREE + 1
            shares.setdefault(best, []).append((delivery, kind))
        for child, share in shares.items():
            child.run(share)
        return excess

    def hold(self, lifeline: str | None) -> None:
        """Have every child, now and later, keep the worker's lifeline."""
        for crew in self._crews:
            crew.hold(lifeline)

    def serve(self, backend: Backend) -> None:
        """Have `backend` do what tasks in the children ask of theirs, now and later."""
        self._ward.serve(backend)
        for crew in self._crews:
            crew.serve(backend)

    def interrupt(self, lost: frozenset[Fence]) -> None:
        """Ask for the calls of these attempts to be stopped, wherever they run."""
        self._ward.drop(lost)
        for crew in self._crews:
            crew.interrupt(lost)

    async def stacks(self) -> dict[int, str]:
        """Say what each child is doing, by its pid."""
        children = self._members()
        texts = await asyncio.gather(*(child.stacks() for child in children))
        return {child.pid: text for child, text in zip(children, texts, strict=True)}

    async def recall(self) -> None:
        """Have every child give back what it has not started; none is replaced from now on."""
        self._draining = True
        self._ward.close()
        await asyncio.gather(*(crew.recall() for crew in self._crews))

    async def close(self, *, kill: bool) -> None:
        """End the children, and wait until each is dead and has given everything back."""
        self._draining = True
        self._ward.close()
        if self._watching is not None:
            self._watching.cancel()
        await asyncio.gather(*(crew.close(kill=kill) for crew in self._crews))

    def _crew(self, slots: dict[Kind, int], size: int) -> Crew:
        return Crew(self._options.target, slots, size, self._ended, self._back, self.freed.set)

    def _members(self) -> list[ChildProcess]:
        return [child for crew in self._crews for child in crew.members]

    def _working(self) -> list[ChildProcess]:
        return [child for crew in self._sharing for child in crew.working]

    def _ended(self, ended: list[tuple[Delivery, Outcome]]) -> None:
        self._tell(ended)
        if self._ward.waiting:
            self._ward.seat()
        self.freed.set()

    def _back(self, back: list[tuple[Delivery, Kind]]) -> None:
        excess = [delivery for delivery, _ in back] if self._draining else self.run(back)
        self._ended([(delivery, INTERRUPTED) for delivery in excess])
