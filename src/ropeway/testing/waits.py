"""Who waits inside a sandbox: a test has done what it waits for, a task lets others run."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence

from ropeway.clock import ManualClock
from ropeway.connect import Connecting
from ropeway.context import running
from ropeway.events import Events
from ropeway.store import Backend
from ropeway.wrappers.bounded import Bounded
from ropeway.wrappers.delegate import Delegate
from ropeway.wrappers.observed import Observed
from ropeway.wrappers.routed import Routed

_GLANCE = 0.002
"""Seconds between two looks at the clock, which gives no hint when it is moved."""


class Parked:
    """The tasks that wait for something in the store, and until when on the sandbox's clock.

    Each looks again after every change, whatever has changed. One that has not yet is no longer
    `resting`. `changed` is called in the thread of whoever begins to wait, or goes on.
    """

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.stirred = 0
        self._shaken = 0
        self._waits: dict[object, tuple[float, int]] = {}

    @property
    def resting(self) -> int:
        """How many wait and have seen all there is to see."""
        return sum(seen == self.stirred for _, seen in list(self._waits.values()))

    def stir(self) -> None:
        """Something has changed: all look again."""
        self.stirred += 1

    def shake(self) -> bool:
        """Have all look once more; False if nothing has changed since the last time.

        For one may have looked just before a change, and begun to wait just after it.
        """
        if not self._waits or self._shaken == self.stirred:
            return False
        self.stir()
        self._shaken = self.stirred
        return True

    def first(self) -> float:
        """Return when the first of these waits ends by itself."""
        return min((until for until, _ in list(self._waits.values())), default=math.inf)

    @contextlib.contextmanager
    def waiting(self, until: float) -> Iterator[Callable[[], bool]]:
        """Let others run in the block; yields what tells whether to go on waiting."""
        token, seen = object(), self.stirred
        self._waits[token] = (until, seen)
        self.changed()
        try:
            yield lambda: self.stirred == seen
        finally:
            del self._waits[token]
            self.changed()


class Waiting(Delegate):
    """A backend that is asked to wait by tests, for whom `work` is done, and by tasks."""

    def __init__(
        self,
        inner: Backend,
        clock: ManualClock,
        parked: Parked,
        work: Callable[[Sequence[str], float], Awaitable[list[str]]],
    ) -> None:
        super().__init__(inner)
        self._clock, self._parked, self._work = clock, parked, work

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        if running.get(None) is None:
            return await self._work(names, timeout)
        until = self._clock.boot() + timeout
        found = await self.inner.wait(names, 0)
        if found:
            return found
        with self._parked.waiting(until) as goes_on:
            while goes_on() and self._clock.boot() < until:
                await self.inner.wait(names, _GLANCE)
        return list(names)


class SandboxConnection:
    """What an app is connected by in a sandbox: one backend for all who ask."""

    def __init__(self, before: Connecting, backend: Backend, clock: ManualClock) -> None:
        self.events: Events = before.events
        self.clock, self.longest_wait = clock, math.inf
        self._backend = Observed(Routed(Bounded(backend)), self.events)

    def looped(self, *, own: bool = False) -> Backend:
        """Return the one backend; it belongs to no loop."""
        return self._backend

    def blocking(self) -> Backend:
        """Return the same."""
        return self._backend
