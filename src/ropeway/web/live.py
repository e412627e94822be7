"""Live pages: each distinct view is built once a tick, and sent to every tab that shows it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable

from ropeway.errors import RopewayError

TICK = 2.0
MOST = 200
"""So many streams are open in one process; further tabs ask again and again instead."""

_BEAT, _LIFE = 15.0, 600.0
_SLOW, _SLOWEST = 0.1, 5.0

Build = Callable[[], Awaitable[str]]


class _Watched:
    """A view that somebody looks at: the newest text of it, and who waits for the next."""

    def __init__(self) -> None:
        self.text = ""
        self.changed = asyncio.Condition()
        self.viewers = 0
        self.task: asyncio.Task[None] | None = None


class Live:
    """Builds what is looked at, and nothing else."""

    def __init__(self, tick: float = TICK) -> None:
        self._tick = tick
        self._watched: dict[Hashable, _Watched] = {}
        self.built = 0

    @property
    def full(self) -> bool:
        """Whether no further stream can be opened."""
        return sum(each.viewers for each in self._watched.values()) >= MOST

    async def stream(self, key: Hashable, build: Build) -> AsyncIterator[str]:
        """Yield server-sent events: the view, whenever it has changed; ends after ten minutes."""
        watched = self._watched.setdefault(key, _Watched())
        watched.viewers += 1
        if watched.task is None:
            watched.task = asyncio.create_task(self._watch(watched, build))
        seen, until = "", time.monotonic() + _LIFE
        try:
            yield f"retry: {random.randint(1000, 4000)}\n\n"
            while time.monotonic() < until:
                if watched.text != seen:
                    seen = watched.text
                    yield f"event: page\ndata: {json.dumps(seen)}\n\n"
                    continue
                if not await self._next(watched, seen):
                    yield ": still here\n\n"
        finally:
            watched.viewers -= 1
            if not watched.viewers:
                watched.task.cancel()
                self._watched.pop(key, None)

    @staticmethod
    async def _next(watched: _Watched, seen: str) -> bool:
        try:
            async with asyncio.timeout(_BEAT), watched.changed:
                await watched.changed.wait_for(lambda: watched.text != seen)
        except TimeoutError:
            return False
        return True

    async def _watch(self, watched: _Watched, build: Build) -> None:
        while True:
            begun = time.monotonic()
            try:
                text = await build()
            except RopewayError as error:
                text = json.dumps({"error": error.fact})
            self.built += 1
            if text != watched.text:
                async with watched.changed:
                    watched.text = text
                    watched.changed.notify_all()
            took = time.monotonic() - begun
            await asyncio.sleep(min(_SLOWEST, max(self._tick, took * 20 if took > _SLOW else 0)))
