"""The clock of a server, asked now and then, and carried on by this machine's own meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable

from ropeway.clock import SystemClock
from ropeway.store import Backend
from ropeway.wrappers.delegate import Delegate

_GOOD_FOR = 1.0
"""Seconds after which the server is asked again: a step of its clock is seen that late."""
_boot = SystemClock().boot


class Clocked(Delegate):
    """Saves a worker two round trips for each batch, which wants to know what time it is.

    `boot` is a clock that only grows, also while the machine is suspended. What comes out is never
    ahead of the server's clock, unless that was set back.
    """

    def __init__(self, inner: Backend, boot: Callable[[], float] = _boot) -> None:
        super().__init__(inner)
        self._boot = boot
        self._told, self._at = 0.0, -math.inf

    async def now(self) -> float:
        passed = self._boot() - self._at
        if passed < _GOOD_FOR:
            return self._told + passed
        told = await self.inner.now()
        self._told, self._at = told, self._boot()
        return told
