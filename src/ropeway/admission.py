"""Waiting for room in a full queue whose publishers are to wait, for a bounded time."""

from __future__ import annotations

import time
from collections.abc import Collection

from ropeway.bounds import Queue
from ropeway.source import Stores
from ropeway.store import queue_name
from ropeway.topology import load
from ropeway.transition import Answer

_FIRST, _LONGEST = 0.002, 0.1
"""Seconds between two tries; who has waited for long asks seldom."""

_QUEUE = queue_name("")
_NOBODY = "room/"
"""Nothing of this name ever changes: to wait for it is to wait for the time."""


class Admission:
    """One send that was refused for want of room, and tries again."""

    def __init__(self, app: Stores) -> None:
        self._app = app
        self._until = time.monotonic() + app.settings.block_timeout
        self._pause = _FIRST
        self._queues: dict[str, Queue] | None = None

    async def next_try(self, answers: Collection[Answer]) -> bool:
        """Wait a moment if any of the answers is worth another try; False if none is."""
        full = [each for each in answers if each.reason == "full"]
        if not full or not any([await self._blocks(each) for each in full]):
            return False
        left = self._until - time.monotonic()
        if left <= 0:
            return False
        # It works for whoever asks, on a loop and without one: a wait is what both have.
        pause, self._pause = min(self._pause, left), min(2 * self._pause, _LONGEST)
        until = time.monotonic() + pause
        while (rest := until - time.monotonic()) > 0:
            await self._app.store.wait([_NOBODY], rest)
        return True

    async def _blocks(self, answer: Answer) -> bool:
        if self._queues is None:
            self._queues = (await load(self._app.store)).queues
        queue = self._queues.get((answer.key or "").removeprefix(_QUEUE))
        return queue is not None and queue.overflow == "block"
