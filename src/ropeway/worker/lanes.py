"""Runs a handler for many events at once: those of a key one after the other, the others together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from ropeway.topics.delivery import Fact

MOST = 100
"""Runs at once."""

BEHIND = -1.0
"""In place of a delay: it was not run, for an earlier event of its key has failed."""

Run = Callable[[Fact], Coroutine[Any, Any, float | None]]
"""Runs the handler; returns None if that went well, else after how long to try again."""


class Lanes:
    """Each lane takes a key and runs what there is of it; lanes are made while there is more to do.

    `changed` is set when something has ended. A handler that never waits needs no second lane.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._of_key: dict[object, deque[Fact]] = {}
        self._ready: deque[object] = deque()
        self._lanes: set[asyncio.Task[None]] = set()
        self._ended: list[tuple[Fact, float | None]] = []
        self._opening = False
        self.changed = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether anything runs, or waits to be."""
        return bool(self._of_key)

    def add(self, fact: Fact) -> None:
        """Run the handler for an event, when those of its key before it are done."""
        key: object = fact.offset if fact.stored.key is None else fact.stored.key
        line = self._of_key.get(key)
        if line is not None:
            line.append(fact)
            return
        self._of_key[key] = deque([fact])
        self._ready.append(key)
        self._open()

    def take(self) -> list[tuple[Fact, float | None]]:
        """Return what has ended since the last time, in the order of its ends."""
        ended, self._ended = self._ended, []
        return ended

    def cancel(self) -> None:
        """Stop what runs."""
        for lane in self._lanes:
            lane.cancel()

    def _open(self) -> None:
        """Have another lane begin, unless one is about to, or there are enough."""
        if self._opening or len(self._lanes) >= MOST:
            return
        self._opening = True
        lane = asyncio.create_task(self._drive())
        self._lanes.add(lane)
        lane.add_done_callback(self._lanes.discard)

    async def _drive(self) -> None:
        self._opening = False
        while self._ready:
            key = self._ready.popleft()
            if self._ready:
                self._open()
            line = self._of_key[key]
            while line:
                fact = line.popleft()
                delay = await self._run(fact)
                self._ended.append((fact, delay))
                self.changed.set()
                if delay is not None:
                    self._ended += [(later, BEHIND) for later in line]
                    line.clear()
            del self._of_key[key]
