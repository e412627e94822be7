"""Children of one make: started, kept at a number, replaced when they die."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

from ropeway.message import Fence, Kind
from ropeway.store import Backend
from ropeway.worker.frames import Manifest
from ropeway.worker.places import OnEnded
from ropeway.worker.process import ChildProcess, OnBack

log = logging.getLogger("ropeway.worker")

_FORGIVEN = 3
_LONG_LIFE = 5.0
_LONGEST_PAUSE, _LONGEST_PAUSE_AFTER_DEATH = 30.0, 1.0
"""Seconds between two tries: of an app that cannot be imported, and after deaths one by one."""


class StartFailed(Exception):
    """A child ended before it had imported the app; its own words are on stderr already."""

    def __init__(self, child: ChildProcess) -> None:
        super().__init__(f"the app could not be imported: the child {child.how_it_ended()}")
        self.exit_code = max(1, child.exit_code or 1)


class Crew:
    """Keeps `size` children alive that run `slots` at once; says when there may be new room."""

    def __init__(
        self,
        target: str,
        slots: dict[Kind, int],
        size: int,
        on_ended: OnEnded,
        on_back: OnBack,
        on_change: Callable[[], None],
    ) -> None:
        self._target, self._slots, self.size = target, slots, size
        self._tell, self._back, self._changed = on_ended, on_back, on_change
        self.members: list[ChildProcess] = []
        self._spawning: set[asyncio.Task[None]] = set()
        self._lifeline: str | None = None
        self._backend: Backend | None = None
        self._failures = 0
        self._draining = False

    async def first(self) -> Manifest:
        """Start one child, and see whether the app can be imported; raises `StartFailed`."""
        return await (await self._spawn()).manifest

    async def one_more(self) -> ChildProcess:
        """Start a child beyond the number; raises `StartFailed` or OSError."""
        return await self._spawn()

    def fill(self, pause: float = 0.0) -> None:
        """Start what is missing, each on its own, after a pause."""
        staying = sum(child.proven and not child.leaving for child in self.members)
        for _ in range(self.size - staying - len(self._spawning)):
            self._spawn_later(pause)

    def replace(self, child: ChildProcess, *, now: bool) -> None:
        """Have another take the place of this one: it retires `now`, or when the other is there."""
        child.leaving = True
        if now:
            child.retire()
        if not self._draining:
            self.fill()

    def resize(self, size: int) -> None:
        """Start what is missing, or retire those that have least to do."""
        self.size = size
        staying = [child for child in self.members if child.proven and not child.leaving]
        staying.sort(key=lambda child: child.busy)
        for child in staying[: max(0, len(staying) - size)]:
            self.replace(child, now=True)
        self.fill()

    @property
    def working(self) -> list[ChildProcess]:
        """Those that take calls."""
        return [child for child in self.members if child.working]

    def hold(self, lifeline: str | None) -> None:
        """Have every child, now and later, keep the worker's lifeline."""
        self._lifeline = lifeline
        for child in self.members:
            child.hold(lifeline)

    def serve(self, backend: Backend) -> None:
        """Have `backend` do what tasks in the children ask of theirs, now and later."""
        self._backend = backend
        for child in self.members:
            child.serve(backend)

    def interrupt(self, lost: frozenset[Fence]) -> None:
        """Ask for the calls of these attempts to be stopped, wherever they run."""
        for child in self.members:
            child.interrupt(lost)

    async def recall(self) -> None:
        """Have every child give back what it has not started; none is replaced from now on."""
        self._draining = True
        await asyncio.gather(*(child.recall() for child in self.members))

    async def close(self, *, kill: bool) -> None:
        """End the children, and wait until each is dead and has given everything back."""
        self._draining = True
        for task in self._spawning:
            task.cancel()
        for child in self.members:
            child.kill() if kill else child.close()
        await asyncio.gather(*(child.gone() for child in list(self.members)))

    # -- one by one -----------------------------------------------------------------------

    async def _spawn(self) -> ChildProcess:
        child = ChildProcess(self._tell, self._back, self._gone)
        self.members.append(child)
        try:
            await child.spawn(self._target, self._slots)
        except OSError:
            self.members.remove(child)
            raise
        child.hold(self._lifeline)
        child.serve(self._backend)
        try:
            await asyncio.shield(child.manifest)
        except asyncio.CancelledError:
            if not child.manifest.cancelled():
                raise
            raise StartFailed(child) from None
        child.proven = True
        self._relieve()
        self._changed()
        return child

    def _relieve(self) -> None:
        for child in self.members:
            if child.leaving and not child.retired:
                child.retire()
                return

    def _spawn_later(self, pause: float) -> None:
        task = asyncio.create_task(self._spawn_after(pause))
        self._spawning.add(task)
        task.add_done_callback(self._spawning.discard)

    async def _spawn_after(self, pause: float) -> None:
        while True:
            await asyncio.sleep(pause)
            try:
                await self._spawn()
            except StartFailed as error:
                if self._draining:
                    return
                log.warning("%s; trying again", error)
                self._failures += 1
                pause = _pause(self._failures, _LONGEST_PAUSE)
            except OSError as error:
                log.warning("no child can be started: %s; trying again", error)
                pause = random.uniform(0.5, 1.0) * _LONGEST_PAUSE / 10
            else:
                return

    def _gone(self, child: ChildProcess) -> None:
        self.members.remove(child)
        self._changed()
        if self._draining or not child.proven:
            return
        if child.leaving:
            log.info("child %d %s", child.pid, child.how_it_ended())
            return
        log.warning("child %d %s", child.pid, child.how_it_ended())
        # One that lived is replaced at once; if they die young, again and again, ever more slowly.
        lived = time.monotonic() - child.started_at > _LONG_LIFE
        self._failures = 0 if lived else self._failures + 1
        self.fill(_pause(self._failures, _LONGEST_PAUSE_AFTER_DEATH))


def _pause(failures: int, longest: float) -> float:
    if failures <= _FORGIVEN:
        return 0.0
    return random.uniform(0, min(longest, 0.1 * 2 ** min(failures - _FORGIVEN, 10)))
