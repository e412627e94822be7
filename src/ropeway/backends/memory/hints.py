"""Who waits for what, in one process, on any of its threads and event loops."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from ropeway.stepping import stepping

POLL = 0.25
"""Seconds after which a waiter looks by itself: a clock that is moved by hand gives no hint."""


class Hints:
    """The verb `wait`: how often each name has changed, and what each waiter has seen."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._changes: Counter[str] = Counter()
        # What the last wait that reported a name had seen.
        self._seen: dict[str, int] = {}
        self._waiters: set[Callable[[], object]] = set()

    def _hint(self, name: str) -> None:
        with self.lock:
            if name in self._seen:
                self._changes[name] += 1
                for wake in self._waiters:
                    wake()

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        found = self._changed(names, self._seen)
        if not found and timeout > 0:
            # Compared with what this waiter saw, so that of two that wait for a name both hear.
            seen = {name: self._changes[name] for name in names}
            listen = self._block if stepping() else self._listen
            found = await listen(names, seen, min(timeout, POLL))
        return found or (list(names) if timeout > POLL else [])

    async def _listen(
        self, names: Sequence[str], seen: dict[str, int], timeout: float
    ) -> list[str]:
        found: list[str] = []
        waiter, loop, here = asyncio.Event(), asyncio.get_running_loop(), threading.get_ident()

        def wake() -> None:
            if threading.get_ident() == here:
                waiter.set()
                return
            with contextlib.suppress(RuntimeError):  # its loop is closed: nobody waits any more
                loop.call_soon_threadsafe(waiter.set)

        with self._waiting(wake):
            try:
                async with asyncio.timeout(timeout):
                    while not (found := self._changed(names, seen)):
                        await waiter.wait()
                        waiter.clear()
            except TimeoutError:
                pass
        return found

    async def _block(self, names: Sequence[str], seen: dict[str, int], timeout: float) -> list[str]:
        """Wait in the caller's thread: no loop is there, and another thread may change something."""
        woken = threading.Event()
        deadline = time.monotonic() + timeout
        with self._waiting(woken.set):
            while not (found := self._changed(names, seen)):
                if not woken.wait(max(0.0, deadline - time.monotonic())):
                    break
                woken.clear()
        return found

    @contextlib.contextmanager
    def _waiting(self, wake: Callable[[], object]) -> Iterator[None]:
        with self.lock:
            self._waiters.add(wake)
        try:
            yield
        finally:
            with self.lock:
                self._waiters.discard(wake)

    def _changed(self, names: Sequence[str], seen: dict[str, int]) -> list[str]:
        with self.lock:
            found = [name for name in names if seen.get(name) != self._changes[name]]
            self._seen.update((name, self._changes[name]) for name in found)
            return found
