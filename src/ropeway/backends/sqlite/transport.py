"""How a coroutine of the backend gets its blocking work done: here and now, or beside a loop."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar, TypeVarTuple

from ropeway.backends.sqlite.database import Database
from ropeway.backends.sqlite.hints import POLL, Watch
from ropeway.backends.sqlite.ops import Op

T = TypeVar("T")
A = TypeVarTuple("A")
_Asked = tuple[Op[Any], asyncio.Future[None]]


class Transport(Protocol):
    """The two things that block: work on the database, and waiting for a hint."""

    async def write(self, op: Op[T], *, lone: bool = False) -> T:
        """Run the transaction that `op` was submitted for.

        `lone` says that hardly anything else will be asked for in the same moment, so there is
        nothing to gain by waiting for it.
        """
        ...

    async def read(self, work: Callable[[*A], T], *arguments: *A) -> T:
        """Run work that may look at many rows."""
        ...

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        """Wait for a hint about any of `names`; see `Store.wait`."""
        ...

    def close(self) -> None:
        """Stop threads and watches."""
        ...


class Blocking:
    """In the caller's own thread: its coroutines never suspend, so they can be stepped."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._local = threading.local()

    async def write(self, op: Op[T], *, lone: bool = False) -> T:
        self._database.complete(op)
        return op.take()

    async def read(self, work: Callable[[*A], T], *arguments: *A) -> T:
        return work(*arguments)

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        watch = getattr(self._local, "watch", None)
        if watch is None or watch.process != os.getpid():
            # A fork's child leaves its parent's watch alone: the two share one descriptor.
            watch = self._local.watch = Watch(self._database.hints)
        found = watch.arm(names) or watch.take(names)
        if not found and timeout > 0:
            watch.block(min(timeout, POLL))
            # After a whole poll without a hint the names are reported all the same: the caller
            # looks, and a hint that was missed costs a quarter of a second.
            found = watch.take(names) or (list(names) if timeout > POLL else [])
        return found

    def close(self) -> None:
        watch = getattr(self._local, "watch", None)
        if watch is not None:
            watch.close()
            del self._local.watch


class Looped:
    """For one event loop: blocking work goes to two threads, one that writes and one that looks.

    On a loop that is ropeway's `own` a commit that need not wait for anybody is done on the spot:
    two changes of thread cost more than it does.
    """

    def __init__(self, database: Database, *, own: bool = False) -> None:
        self._database = database
        self._own = own
        self._writer = ThreadPoolExecutor(1, "ropeway-sqlite-write")
        self._reader = ThreadPoolExecutor(1, "ropeway-sqlite-read")
        self._asked: list[_Asked] = []
        self._writing = False
        self._watch: Watch | None = None
        # Weak, so that a loop which ends without a word takes this with it.
        self._loop: weakref.ref[asyncio.AbstractEventLoop] | None = None
        self._waiters: set[asyncio.Future[None]] = set()

    async def write(self, op: Op[T], *, lone: bool = False) -> T:
        if lone and self._own and not self._writing and self._database.attempt(op):
            return op.take()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._asked.append((op, done))
        if not self._writing:
            # At the end of this turn of the loop: what else is asked for in it goes along.
            self._writing = True
            loop.call_soon(self._write_asked)
        await asyncio.shield(done)
        return op.take()

    def _write_asked(self) -> None:
        asked, self._asked = self._asked, []
        if self._own and all(self._database.attempt(op) for op, _ in asked):
            self._written(asked)
            return
        hop = asyncio.get_running_loop().run_in_executor(self._writer, self._complete, asked)
        hop.add_done_callback(lambda _: self._written(asked, hop.exception()))

    def _complete(self, asked: list[_Asked]) -> None:
        for op, _ in asked:
            self._database.complete(op)

    def _written(self, asked: list[_Asked], error: BaseException | None = None) -> None:
        for _, done in asked:
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(None)
        self._writing = bool(self._asked)
        if self._asked:
            asyncio.get_running_loop().call_soon(self._write_asked)

    async def read(self, work: Callable[[*A], T], *arguments: *A) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, work, *arguments)

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        watch = self._watching()
        found = watch.arm(names) or watch.take(names)
        if found or timeout <= 0:
            return found
        loop = asyncio.get_running_loop()
        now = loop.time()
        # Those who look by themselves do so at the same moments: a process that wakes once for all of
        # them uses half as much as one that wakes for each.
        deadline = now + timeout if timeout < POLL else now + POLL - now % POLL
        while not found and loop.time() < deadline:
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters.add(waiter)
            timer = loop.call_at(deadline, _wake, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._waiters.discard(waiter)
            found = watch.take(names)
        return found or (list(names) if timeout > POLL else [])

    def _watching(self) -> Watch:
        if self._watch is None:
            self._watch = Watch(self._database.hints)
            loop = asyncio.get_running_loop()
            self._loop = weakref.ref(loop)
            if self._watch.descriptor >= 0:
                loop.add_reader(self._watch.descriptor, self._hinted)
        return self._watch

    def _hinted(self) -> None:
        if self._watch is not None:
            self._watch.take(())  # empties the descriptor; each waiter takes its own names
        for waiter in self._waiters:
            _wake(waiter)

    def close(self) -> None:
        if self._watch is not None:
            loop = self._loop() if self._loop is not None else None
            if loop is not None and not loop.is_closed() and self._watch.descriptor >= 0:
                loop.remove_reader(self._watch.descriptor)
            self._watch.close()
            self._watch = None
        self._writer.shutdown(wait=False)
        self._reader.shutdown(wait=False)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
