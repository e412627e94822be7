"""A backend for callers without an event loop, where its client library cannot do without one.

One thread of the process has a loop; each verb is run there while the caller's thread waits. The
verbs never suspend, so they can be stepped like those of a backend that works on the spot.
"""

from __future__ import annotations

import asyncio
import atexit
import codecs
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar, cast

from ropeway.capabilities import Capabilities
from ropeway.stepping import Suspended, may_suspend
from ropeway.store import Backend
from ropeway.wrappers.delegate import Delegate
from ropeway.wrappers.native import RoutingHalf

T = TypeVar("T")

# Looking up a host's name imports this, under a lock: a process that is forked just then would wait
# for that lock for ever. So it is imported before anybody connects.
codecs.lookup("idna")

_ROUNDS = 8
"""Of the loop: in fewer than these a verb that need not wait has asked its server."""

_EXIT = 2.0
"""Seconds at most that the end of a process is held up to tell others what it has done."""


class _Asked(Generic[T]):
    """A coroutine that a thread waits for; begun and ended on the loop."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self.answer: Future[T] = Future()
        self.asked = threading.Event()
        self._work = work
        self._task: asyncio.Task[T] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._work)
        self._task.add_done_callback(self._done)

    def start_ahead(self) -> None:
        """Start, and set `asked` when a server has most likely been asked."""
        self.start()
        self._after(_ROUNDS)

    def _after(self, rounds: int) -> None:
        if rounds and not self.answer.done():
            asyncio.get_running_loop().call_soon(self._after, rounds - 1)
        else:
            self.asked.set()

    def stop(self) -> None:
        if self._task is None:
            self._work.close()
        else:
            self._task.cancel()

    def _done(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.answer.cancel()
        elif (error := task.exception()) is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(task.result())


class _Closing(Protocol):
    """What can be made on the loop, and closed."""

    async def close(self) -> None: ...


class Portal:
    """The thread with a loop, started when first needed; one for each process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._open: dict[int, _Closing] = {}
        thread = threading.Thread(target=self._serve, name="ropeway-portal", daemon=True)
        thread.start()
        atexit.register(self.at_exit)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, and wait for it in the caller's thread."""
        asked = _Asked(work)
        with self._stopping(asked):
            self._loop.call_soon_threadsafe(asked.start)
            return asked.answer.result()

    async def run_ahead(self, work: Coroutine[Any, Any, T]) -> T:
        """Likewise, and have whoever steps this go on while a server works."""
        asked = _Asked(work)
        with self._stopping(asked):
            self._loop.call_soon_threadsafe(asked.start_ahead)
            asked.asked.wait()
            await Suspended()
            return asked.answer.result()

    @contextlib.contextmanager
    def _stopping(self, asked: _Asked[Any]) -> Iterator[None]:
        try:
            yield
        except BaseException:
            # An interrupt may come at any line.
            self._loop.call_soon_threadsafe(asked.stop)
            raise

    async def made(self, asker: object, make: Callable[[], _Closing]) -> _Closing:
        """Return what was made here for whoever asks."""
        found = self._open.get(id(asker))
        if found is None:
            found = self._open[id(asker)] = make()
        return found

    async def close(self, asker: object) -> None:
        """Close what was made for whoever asks."""
        if found := self._open.pop(id(asker), None):
            await found.close()

    def at_exit(self) -> None:
        """Close what is open; the thread stays, for who still sends is served to the last."""

        async def close_all() -> None:
            for backend in list(self._open.values()):
                await backend.close()

        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(close_all(), self._loop).result(_EXIT)


class _Process:
    """What belongs to this process, and not to one that it is forked into."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.portal: Portal | None = None
        self.left: Portal | None = None

    def here(self) -> Portal:
        if self.portal is None:
            with self.lock:
                if self.portal is None:
                    self.portal = Portal()
        return self.portal

    def after_fork(self) -> None:
        # Its thread is in the parent. It is kept and not touched: an end of it would be an end of
        # connections that the parent goes on with.
        if self.portal is not None:
            atexit.unregister(self.portal.at_exit)
            self.left = self.portal
        self.lock = threading.Lock()
        self.portal = None


_process = _Process()
os.register_at_fork(after_in_child=_process.after_fork)


class Ported(Delegate):
    """Has every verb run on the portal's loop, by a backend that `make` makes there."""

    def __init__(self, make: Callable[[], Backend], capabilities: Capabilities) -> None:
        super().__init__(cast("Backend", _Through(self, make)))
        self._capabilities = capabilities

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def close(self) -> None:
        portal = _process.here()
        portal.run(portal.close(self))


class PortedHalf:
    """Likewise for the half of a pair: as `make` makes it."""

    def __init__(self, make: Callable[[], RoutingHalf], capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        there = cast("RoutingHalf", _Through(self, make))
        self.open, self.publish, self.get = there.open, there.publish, there.get
        self.ack, self.nack, self.prune = there.ack, there.nack, there.prune
        self.depths, self.wait = there.depths, there.wait
        self.shape, self.reply = there.shape, there.reply

    async def close(self) -> None:
        portal = _process.here()
        portal.run(portal.close(self))


class _Through:
    """Every verb of a backend, as a coroutine that is done when it is first stepped."""

    def __init__(self, asker: object, make: Callable[[], _Closing]) -> None:
        self._asker, self._make = asker, make

    def __getattr__(self, verb: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def there(portal: Portal, *arguments: Any, **options: Any) -> Any:
            backend = await portal.made(self._asker, self._make)
            return await getattr(backend, verb)(*arguments, **options)

        async def here(*arguments: Any, **options: Any) -> Any:
            portal = _process.here()
            if verb == "commit" and may_suspend():
                return await portal.run_ahead(there(portal, *arguments, **options))
            return portal.run(there(portal, *arguments, **options))

        return here
