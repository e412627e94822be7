"""One connection to a RabbitMQ server, on an event loop: its channels, heartbeat and alarms."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any

from pamqp import commands
from pamqp.base import Frame

from ropeway.backends.rabbitmq.address import Address
from ropeway.backends.rabbitmq.frames import (
    GREETING,
    HEARTBEAT,
    Broken,
    Event,
    Reader,
    method,
)
from ropeway.errors import BackendUnavailable
from ropeway.locations import Host, reason, unreachable
from ropeway.version import __version__

Hear = Callable[[Event], None]
_LARGEST = 131_072
_CLIENT = {
    "product": "ropeway",
    "version": __version__,
    "capabilities": {
        "publisher_confirms": True,
        "basic.nack": True,
        "consumer_cancel_notify": True,
        "connection.blocked": True,
        "authentication_failure_close": True,
    },
}
_GOODBYE = 2.0
"""Seconds at most that are waited for the server's word that all which was sent has arrived."""


class Lost(Exception):
    """The connection ended, or the channel did, before an answer came."""


class Shut(Lost):
    """The server has closed a channel, and said why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code


class Channel:
    """What is asked on a channel is answered in that order; `hear` is told everything else."""

    def __init__(self, wire: Wire, number: int, hear: Hear) -> None:
        self.wire, self.number, self.hear = wire, number, hear
        self.ended: Lost | None = None
        self._asked: deque[asyncio.Future[Frame]] = deque()

    async def ask(self, *frames: Frame) -> Frame:
        """Send methods in one piece, and return the answer to the last. Raises `Lost`."""
        return (await self.ask_all(*frames))[-1]

    async def ask_all(self, *frames: Frame) -> list[Frame]:
        """Send methods in one piece, and return the answers. Raises `Lost`."""
        answers = [self._expect() for _ in frames]
        self.send(b"".join(method(each, self.number) for each in frames))
        try:
            async with asyncio.timeout(self.wire.timeout):
                return [await answer for answer in answers]
        except TimeoutError:
            self.wire.end(f"no answer came within {self.wire.timeout:g} s")
            raise Lost(self.wire.why) from None

    def send(self, data: bytes) -> None:
        """Send something that is not answered, or not in order. Raises `Lost`."""
        if self.ended is not None:
            raise self.ended
        self.wire.send(data)

    async def close(self) -> None:
        """Give the channel up, and with it what it holds."""
        if self.ended is None:
            await self.ask(commands.Channel.Close(200, "done", 0, 0))
            self.end(Lost("the channel was closed"))
            self.wire.forget(self.number)

    def end(self, why: Lost) -> None:
        """Hear that it is over."""
        self.ended = why
        for future in self._asked:
            if not future.done():
                future.set_exception(why)
                future.exception()  # that nobody waits for it any more is no fault
        self._asked.clear()

    def heard(self, event: Event) -> None:
        """Take what the server says on this channel."""
        if isinstance(event, commands.Channel.Close):
            self.wire.send(method(commands.Channel.CloseOk(), self.number))
            why = Shut(event.reply_code or 0, event.reply_text or "")
            self.wire.forget(self.number)
            self.end(why)
            self.hear(event)
        elif isinstance(event, Frame) and not isinstance(event, commands.Basic.Cancel):
            if self._asked:
                future = self._asked.popleft()
                if not future.done():
                    future.set_result(event)
        else:
            self.hear(event)

    def _expect(self) -> asyncio.Future[Frame]:
        if self.ended is not None:
            raise self.ended
        future = asyncio.get_running_loop().create_future()
        self._asked.append(future)
        return future


class Wire(asyncio.Protocol):
    """A connection to `host`. What is sent in one turn of the loop goes out in one piece."""

    def __init__(self, host: Host, timeout: float) -> None:
        self.host, self.timeout = host, timeout
        self.closed = False
        self.why = ""
        self.blocked = ""
        self.unblocked = asyncio.Event()
        self.unblocked.set()
        self.version: tuple[int, ...] = ()
        self.told: dict[str, Any] = {}
        self.largest = _LARGEST
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._reader = Reader()
        self._out: list[bytes] = []
        self._channels: dict[int, Channel] = {}
        self._control = Channel(self, 0, lambda event: None)
        self._started: asyncio.Future[Frame] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._beat: asyncio.TimerHandle | None = None
        self._heard = self._said = self._loop.time()
        self._free: list[int] = []
        self._newest = 0

    async def channel(self, hear: Hear) -> Channel:
        """Open a channel."""
        if self._free:
            number = self._free.pop()
        else:
            self._newest += 1
            number = self._newest
        if self.closed:
            raise Lost(self.why)
        channel = self._channels[number] = Channel(self, number, hear)
        await channel.ask(commands.Channel.Open())
        return channel

    def forget(self, number: int) -> None:
        """Let the number of a channel that has ended be used again."""
        if self._channels.pop(number, None):
            self._free.append(number)

    def send(self, data: bytes) -> None:
        """Send it in this turn of the loop. Raises `Lost`."""
        if self.closed:
            raise Lost(self.why)
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    async def close(self) -> None:
        """Say goodbye, so that all that was sent has arrived; waits a moment for that."""
        if not self.closed:
            try:
                async with asyncio.timeout(_GOODBYE):
                    await self._control.ask(commands.Connection.Close(200, "done", 0, 0))
            except (TimeoutError, Lost):
                pass
        self.end("the connection was closed")

    def end(self, why: str) -> None:
        """End it at once."""
        if self.closed:
            return
        self.closed, self.why = True, why
        if self._beat is not None:
            self._beat.cancel()
        if self._transport is not None:
            # Not `close`, which would wait until a server that is gone has read everything.
            self._transport.abort()
        lost = Lost(why)
        if not self._started.done():
            self._started.set_exception(lost)
            self._started.exception()
        if not self.ended.done():  # whoever waits for it may have been cancelled
            self.ended.set_result(None)
        self._control.end(lost)
        for channel in list(self._channels.values()):
            channel.end(lost)
            channel.hear(commands.Connection.Close(0, why, 0, 0))
        self.unblocked.set()

    # -- what the loop calls --------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        try:
            for number, event in self._reader.feed(data):
                if number == 0:
                    self._controlled(event)
                elif (channel := self._channels.get(number)) is not None:
                    channel.heard(event)
        except Broken as error:
            self.end(f"the server does not speak AMQP 0-9-1: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(reason(exc) if exc else "the server closed the connection")

    # -- inside ---------------------------------------------------------------------------

    def _flush(self) -> None:
        if self._out and self._transport is not None and not self.closed:
            self._said = self._loop.time()
            self._transport.write(b"".join(self._out))
        self._out.clear()

    def _controlled(self, event: Event) -> None:
        if isinstance(event, commands.Connection.Close):
            self.send(method(commands.Connection.CloseOk(), 0))
            self._flush()
            self.end(f"the server closed the connection: {event.reply_code} {event.reply_text}")
        elif isinstance(event, commands.Connection.Blocked):
            self.blocked = event.reason or "an alarm"
            self.unblocked.clear()
        elif isinstance(event, commands.Connection.Unblocked):
            self.blocked = ""
            self.unblocked.set()
        elif isinstance(event, commands.Connection.Start):
            if not self._started.done():
                self._started.set_result(event)
        else:
            self._control.heard(event)

    async def greet(self, address: Address) -> None:
        """Introduce the client, and enter the virtual host. Raises `Lost`."""
        assert self._transport is not None
        self._transport.write(GREETING)
        start = await self._started
        assert isinstance(start, commands.Connection.Start)
        self.told = dict(start.server_properties or {})
        version = str(self.told.get("version", ""))
        self.version = tuple(int(each) for each in version.split(".")[:2] if each.isdigit())
        login = address.login
        proof = "" if address.external else f"\0{login.user}\0{login.password}"
        mechanism = "EXTERNAL" if address.external else "PLAIN"
        tune = await self._control.ask(
            commands.Connection.StartOk(_CLIENT, mechanism, proof, "en_US")  # type: ignore[arg-type]  # its table is invariant
        )
        assert isinstance(tune, commands.Connection.Tune)
        self.largest = min(tune.frame_max or _LARGEST, _LARGEST)
        beat = min(address.heartbeat, tune.heartbeat or address.heartbeat)
        self.send(
            method(commands.Connection.TuneOk(tune.channel_max or 65_535, self.largest, beat), 0)
        )
        await self._control.ask(commands.Connection.Open(address.vhost))
        self._pulse(beat)

    def _pulse(self, interval: int) -> None:
        """Speak when nothing else was said, and end a connection that has long been silent."""
        now = self._loop.time()
        if now - self._heard > 2 * interval:
            self.end(f"the server has been silent for {2 * interval} s")
            return
        if now - self._said >= interval / 2 and self._transport is not None and not self._out:
            self._said = now
            self._transport.write(HEARTBEAT)
        self._beat = self._loop.call_later(interval / 2, self._pulse, interval)


async def connect(address: Address, host: Host, tls: ssl.SSLContext | None) -> Wire:
    """Connect to a host and enter its virtual host; raises `BackendUnavailable`."""
    loop = asyncio.get_running_loop()
    wire: Wire | None = None
    try:
        async with asyncio.timeout(address.timeout):
            transport, wire = await loop.create_connection(
                lambda: Wire(host, address.timeout), host.name, host.port, ssl=tls
            )
            connected = transport.get_extra_info("socket")
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await wire.greet(address)
    except (OSError, ValueError, Lost) as error:
        if wire is not None:
            wire.end("it could not be entered")
        raise shut_out(address, host, error) from None
    except asyncio.CancelledError:
        if wire is not None:
            wire.end("nobody waits for it")
        raise
    if wire.version < (3, 10):
        await wire.close()
        told = ".".join(map(str, wire.version)) or "of an unknown version"
        raise BackendUnavailable(
            f"the RabbitMQ server {host} is {told}, which is too old", hint="use 3.10 or later"
        )
    return wire


def shut_out(address: Address, host: Host, error: BaseException) -> BackendUnavailable:
    """Return what to raise when `host` cannot be reached, or does not let this client in."""
    told = str(error)
    if isinstance(error, Lost) and "403" in told:
        return BackendUnavailable(
            f"the RabbitMQ server {host} does not let in {address.login.user!r}",
            hint="see the user and the password in the URL, and what the server's log says",
        )
    if isinstance(error, Lost) and ("530" in told or "NOT_ALLOWED" in told):
        return BackendUnavailable(
            f"the RabbitMQ server {host} has no virtual host {address.vhost!r} for this user",
            hint="rabbitmqctl list_vhosts; rabbitmqctl set_permissions; %2F in a URL is a slash",
        )
    return unreachable("RabbitMQ", host, error)
