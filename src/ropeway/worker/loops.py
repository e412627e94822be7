"""The loops of a supervisor: none of them ends before the worker does, but by an error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

log = logging.getLogger("ropeway.worker")


class Loops:
    """Runs loops until `close`; `broken` is set when one has ended by itself, which is told."""

    def __init__(self, on_broken: Callable[[], None] = lambda: None) -> None:
        self.broken = asyncio.Event()
        self._on_broken = on_broken
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, loop: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run a loop that has no end of its own; it may be cancelled by whoever started it."""
        task = asyncio.create_task(loop, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """End every loop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("%s failed: the worker ends", task.get_name(), exc_info=error)
            self.broken.set()
            self._on_broken()
