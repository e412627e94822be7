"""How an event loop hears of changes: one connection, kept up as long as somebody waits."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence

from ropeway.backends.redis.dialling import PATIENCE, pack
from ropeway.backends.redis.hearing import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    POLL,
    PULSE,
    Heard,
    Seen,
    subscription,
)
from ropeway.backends.redis.looped_wire import LoopedWire
from ropeway.backends.redis.refusals import refusal
from ropeway.backends.redis.wire import Lost, Pushed, Reply
from ropeway.errors import RopewayError

_logger = logging.getLogger("ropeway")


class LoopedEar:
    """The verb `wait` for one event loop. `connect` makes its connection."""

    def __init__(self, namespace: str, connect: Callable[[Pushed], Awaitable[LoopedWire]]) -> None:
        self._heard = Heard(namespace)
        self._connect = connect
        self._wire: LoopedWire | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._waiters: set[asyncio.Future[None]] = set()

    def seen(self, names: Sequence[str]) -> Seen:
        """See `Link.seen`."""
        return self._heard.seen(names)

    async def wait(
        self, names: Sequence[str], timeout: float, seen: Seen | None = None
    ) -> list[str]:
        """See `Link.wait`."""
        fresh, stale = self._heard.new(names), self._heard.stale()
        if fresh or stale:
            await self._subscribe(fresh, stale)
        # Of what was not subscribed nobody knows what happened since it was seen.
        found = self._heard.changed(names, None if fresh else seen)
        if not found and timeout > 0:
            found = await self._listen(names, min(timeout, POLL))
        # After a whole poll without a hint the names are reported all the same: the caller looks,
        # and a hint that was missed costs half a second.
        return found or (list(names) if timeout > POLL else [])

    def stir(self, names: Sequence[str]) -> None:
        """See `Link.stir`."""
        self._heard.stirred(names)
        self._wake_all()

    async def close(self) -> None:
        """Give up the connection."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])

    async def _listen(self, names: Sequence[str], timeout: float) -> list[str]:
        loop, seen = asyncio.get_running_loop(), self._heard.seen(names)
        deadline = loop.time() + timeout
        while not (found := self._heard.changed(names, seen)):
            if (left := deadline - loop.time()) <= 0:
                break
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters.add(waiter)
            timer = loop.call_later(left, _wake, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._waiters.discard(waiter)
        return found

    async def _subscribe(self, channels: Sequence[bytes], stale: Sequence[bytes]) -> None:
        """Return when the server tells of changes on these channels, or cannot be reached."""
        if self._keeper is None or self._keeper.done():
            self._tried.clear()
            self._keeper = asyncio.create_task(self._keep())
        await self._tried.wait()
        if (wire := self._wire) is None:
            return  # its keeper goes on trying, and then subscribes all
        try:
            await _subscribe(wire, channels, stale)
        except (Lost, RopewayError):
            wire.close()

    async def _keep(self) -> None:
        """Keep one connection up, and have it tell of all that is waited for."""
        pause = FIRST_PAUSE
        while True:
            try:
                wire = await self._connect(self._pushed)
                try:
                    pause = FIRST_PAUSE
                    await self._hold(wire)
                finally:
                    self._wire = None
                    wire.close()
            except (Lost, RopewayError) as error:
                _logger.debug("no hints are heard: %s", error)
            except Exception:  # whoever waits for the first try would wait for ever
                _logger.exception("no hints are heard")
            self._tried.set()
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _hold(self, wire: LoopedWire) -> None:
        wire.timeout = PATIENCE
        self._wire = wire
        await _subscribe(wire, self._heard.channels(), ())
        self._tried.set()
        self._heard.told_all()
        self._wake_all()
        while True:
            await asyncio.wait([wire.ended], timeout=PULSE)
            await wire.call(pack("PING"))  # raises at the end, and where the other end is silent

    def _pushed(self, push: list[Reply]) -> None:
        kind, subject = push[0], push[1]
        if kind == b"smessage":
            self._heard.told(subject, push[2])
            self._wake_all()
        elif kind == b"sunsubscribe" and self._heard.knows(subject) and self._wire is not None:
            self._wire.close()  # the slot has moved to another node

    def _wake_all(self) -> None:
        for waiter in self._waiters:
            _wake(waiter)


async def _subscribe(
    wire: LoopedWire, channels: Sequence[bytes], forgotten: Sequence[bytes]
) -> None:
    reply = await wire.call(subscription(channels, forgotten))
    if isinstance(reply, Exception):
        raise refusal(reply, str(wire.host), "SSUBSCRIBE")


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
