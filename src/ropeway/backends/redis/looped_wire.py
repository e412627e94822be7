"""A connection on an event loop: many callers' commands are on their way at once."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Iterable

import hiredis

from ropeway.backends.redis.wire import Lost, Pushed, Reply
from ropeway.locations import Host, reason, unreachable

_NOTHING = object()


_Asked = tuple[asyncio.Future[Reply], float]
"""A command that is on its way, and until when its reply has to be there."""


class LoopedWire(asyncio.Protocol):
    """Replies are matched with commands by their order, so a caller may give up and harm nobody.

    One timer for all: the oldest command is the first whose time is over.
    """

    def __init__(self, host: Host, timeout: float, pushed: Pushed | None) -> None:
        self.host, self.closed = host, False
        self.timeout, self._pushed = timeout, pushed
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self._asked: deque[_Asked] = deque()
        self._retired = False
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()

    async def call(self, packed: bytes) -> Reply:
        reply = self._expect()
        self._send(packed)
        return await reply

    async def call_all(self, packed: Iterable[bytes]) -> list[Reply]:
        replies: list[asyncio.Future[Reply]] = []
        for each in packed:
            replies.append(self._expect())
            self._send(each)
        return await asyncio.gather(*replies)

    def close(self) -> None:
        self._end("the connection was closed")

    def retire(self) -> None:
        """Close it once every reply that is still to come has come."""
        self._retired = True
        if not self._asked:
            self.close()

    # -- what the loop calls --------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _NOTHING:
                self._replied(reply)
        except hiredis.ProtocolError as error:
            self._end(f"the server does not speak as Redis does: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(reason(exc) if exc else "the server closed the connection")

    # -- inside ---------------------------------------------------------------------------

    def _expect(self) -> asyncio.Future[Reply]:
        if self.closed:
            raise Lost("the connection was closed", sent=False)
        reply: asyncio.Future[Reply] = self._loop.create_future()
        deadline = self._loop.time() + self.timeout
        self._asked.append((reply, deadline))
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._look_at_the_clock)
        return reply

    def _send(self, packed: bytes) -> None:
        assert self._transport is not None
        self._transport.write(packed)

    def _replied(self, reply: Reply) -> None:
        if isinstance(reply, hiredis.PushNotification):
            if self._pushed is not None:
                self._pushed(reply)
        elif self._asked:
            future, _ = self._asked.popleft()
            if not future.done():  # nobody waits any more where it is
                future.set_result(reply)
            if self._retired and not self._asked:
                self.close()
        else:
            self._end(f"the server said what nobody asked for: {reply}")

    def _look_at_the_clock(self) -> None:
        self._timer = None
        if self._asked:
            _, deadline = self._asked[0]
            if self._loop.time() >= deadline:
                self._end(f"no reply came within {self.timeout:g} s")
            else:
                self._timer = self._loop.call_at(deadline, self._look_at_the_clock)

    def _end(self, why: str) -> None:
        if self.closed:
            return
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            # Not `close`, which would wait until a server that is gone has read everything.
            self._transport.abort()
        for future, _ in self._asked:
            if not future.done():
                future.set_exception(Lost(why))
        self._asked.clear()
        if not self.ended.done():
            self.ended.set_result(None)


async def connect(
    host: Host,
    tls: ssl.SSLContext | None,
    timeout: float,
    pushed: Pushed | None = None,
) -> LoopedWire:
    """Connect to a host within `timeout` seconds; raises `BackendUnavailable`."""
    loop = asyncio.get_running_loop()

    def made() -> LoopedWire:
        return LoopedWire(host, timeout, pushed)

    try:
        async with asyncio.timeout(timeout):
            if not host.port:
                _, wire = await loop.create_unix_connection(made, host.name, ssl=tls)
                return wire
            transport, wire = await loop.create_connection(made, host.name, host.port, ssl=tls)
    except (OSError, ValueError) as error:
        raise unreachable("Redis", host, error) from None
    tune(transport.get_extra_info("socket"))
    return wire


def tune(connected: socket.socket) -> None:
    """Send at once, and have the system notice, too, when the other end is gone."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
