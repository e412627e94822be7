"""Renewing on a thread of its own, for a worker whose event loop also runs user code."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from functools import partial

from ropeway.connect import Connecting
from ropeway.message import Fence
from ropeway.worker.held import Held
from ropeway.worker.renew import Renewer


class RenewingThread:
    """Renews leases on a thread with an event loop and a backend of its own."""

    def __init__(
        self,
        connection: Connecting,
        held: Held,
        holder: str,
        lease: float,
        interrupt: Callable[[frozenset[Fence]], None],
        bells: Mapping[str, Callable[[], None]],
    ) -> None:
        self._connection, self._held = connection, held
        self._holder, self._lease, self._interrupt = holder, lease, interrupt
        self._bells = bells
        self._stop: Callable[[], object] | None = None
        self._stopping = False

    async def run(self) -> None:
        """Renew until cancelled; what ends the thread ends this too."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def tell(lost: frozenset[Fence]) -> None:
            loop.call_soon_threadsafe(self._interrupt, lost)

        bells = {name: partial(_call_soon, loop, ring) for name, ring in self._bells.items()}

        def work() -> None:
            error: Exception | None = None
            try:
                asyncio.run(self._renew(tell, bells))
            except Exception as found:  # noqa: BLE001  whoever started the thread raises it
                error = found
            with contextlib.suppress(RuntimeError):  # the loop has not waited for this
                loop.call_soon_threadsafe(_settle, ended, error)

        thread = threading.Thread(target=work, name="ropeway-renew", daemon=True)
        thread.start()
        try:
            await asyncio.shield(ended)
        finally:
            self._stopping = True
            if self._stop is not None:
                self._stop()
            await asyncio.wait([ended])

    async def _renew(
        self,
        tell: Callable[[frozenset[Fence]], None],
        bells: Mapping[str, Callable[[], None]],
    ) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._stop = lambda: loop.call_soon_threadsafe(task.cancel)
        if self._stopping:
            return
        backend = self._connection.looped(own=True)
        try:
            await backend.open()
            renewer = Renewer(backend, self._held, self._holder, self._lease, tell, bells)
            await renewer.run()
        except asyncio.CancelledError:
            pass
        finally:
            await backend.close()


def _settle(ended: asyncio.Future[None], error: Exception | None) -> None:
    if error is None:
        ended.set_result(None)
    else:
        ended.set_exception(error)


def _call_soon(loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(ring)
