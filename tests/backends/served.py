"""Serving a backend over lines, on a loop of its own, as a supervisor does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

from ropeway.store import Backend
from ropeway.worker.lines import Door
from ropeway.worker.reception import Reception


class Counter:
    """Serves backends on the running loop."""

    def __init__(self) -> None:
        self._receptions: list[Reception] = []

    def serve(self, backend: Backend) -> Door:
        """Serve `backend` from now on; returns where lines to it are opened."""
        self._receptions.append(reception := Reception())
        reception.serve(backend)
        return Door(reception.door)

    async def hang_up(self) -> None:
        """Cut every line."""
        for reception in self._receptions:
            reception.close()
            reception.door.close()
        self._receptions.clear()
        await asyncio.sleep(0.01)  # the loop sees the ends


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Counter]:
    """Serve on the running loop until the end of the block."""
    counter = Counter()
    try:
        yield counter
    finally:
        await counter.hang_up()


class Elsewhere:
    """The same on a loop in another thread, for those who block in theirs."""

    def __init__(self) -> None:
        self._counter = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def serve(self, backend: Backend) -> Door:
        """Serve `backend` there; returns where lines to it are opened."""

        async def start() -> Door:
            return self._counter.serve(backend)

        door: Door = self.run(start())
        return door

    def hang_up(self) -> None:
        """Cut every line."""
        self.run(self._counter.hang_up())

    def close(self) -> None:
        """Hang up, and end the thread."""
        self.hang_up()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextlib.contextmanager
def serving_elsewhere() -> Iterator[Elsewhere]:
    """Serve in another thread until the end of the block."""
    elsewhere = Elsewhere()
    try:
        yield elsewhere
    finally:
        elsewhere.close()
