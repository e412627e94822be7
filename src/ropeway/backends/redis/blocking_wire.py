"""A connection that blocks the thread which uses it; one thread at a time."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from collections.abc import Iterable

import hiredis

from ropeway.backends.redis.looped_wire import tune
from ropeway.backends.redis.wire import Lost, Reply
from ropeway.locations import Host, reason, unreachable
from ropeway.stepping import Suspended, may_suspend

_NOTHING = object()
_TIMEVAL = struct.Struct("@ll")
_SIZE = 65_536
_STALE_AFTER = 1.0
"""Seconds of silence after which a connection is looked at before it is used."""


class BlockingWire:
    """Its coroutine never suspends, so it can be stepped."""

    def __init__(self, host: Host, connected: socket.socket, timeout: float) -> None:
        self.host, self.closed = host, False
        self.timeout = timeout
        self._socket = connected
        self._kernel_waits = not isinstance(connected, ssl.SSLSocket)
        self._bound(timeout)
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self._used = time.monotonic()

    async def call(self, packed: bytes) -> Reply:
        return self._replies(self._written((packed,)))[0]

    async def call_all(self, packed: Iterable[bytes]) -> list[Reply]:
        sent = self._written(packed)
        if may_suspend():
            try:
                await Suspended()  # whoever steps this makes more ready while the server works
            except BaseException as error:  # noqa: BLE001
                raise self._broken(error) from None
        return self._replies(sent)

    def send(self, packed: bytes) -> None:
        """Send without waiting for a reply. Raises `Lost`."""
        self._written((packed,))

    def ready(self, timeout: float) -> bool:
        """Wait for something to take in. Another thread may send meanwhile."""
        return readable(self._socket, timeout)

    def take_in(self) -> list[Reply]:
        """Return what has come, without waiting for more. Raises `Lost` at the end."""
        try:
            if self._kernel_waits:
                data = self._socket.recv(_SIZE, socket.MSG_DONTWAIT)
            else:
                self._bound(0.0)
                data = self._socket.recv(_SIZE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return []
        except OSError as error:
            self.close()
            raise Lost(reason(error)) from None
        if not data:
            self.close()
            raise Lost("the server closed the connection")
        self._reader.feed(data)
        return list(iter(self._reader.gets, _NOTHING))

    def close(self) -> None:
        self.closed = True
        self._socket.close()

    def __del__(self) -> None:
        # Whoever held it has ended without a word: a thread, or the process.
        self._socket.close()

    def _written(self, packed: Iterable[bytes]) -> int:
        """Write commands; returns how many."""
        if self.closed or self._is_stale():
            self.close()
            raise Lost("the connection was closed", sent=False)
        sent = 0
        try:
            if self._set != self.timeout:
                self._bound(self.timeout)
            for each in packed:
                self._socket.sendall(each)
                sent += 1
        except BaseException as error:  # noqa: BLE001
            raise self._broken(error) from None
        return sent

    def _replies(self, n: int) -> list[Reply]:
        try:
            return [self._read() for _ in range(n)]
        except BaseException as error:  # noqa: BLE001
            raise self._broken(error) from None

    def _broken(self, error: BaseException) -> BaseException:
        """Close it, and return what to raise.

        Also at a Ctrl-C between a command and its reply: the next reply would be taken for this one.
        """
        self.close()
        if isinstance(error, TimeoutError | BlockingIOError):
            return Lost(f"no reply came within {self.timeout:g} s")
        if isinstance(error, OSError | hiredis.ProtocolError):
            return Lost(reason(error))
        return error

    def _bound(self, timeout: float) -> None:
        """Have what is asked of the socket take so many seconds at the most.

        Python does that by asking the system before each read and write whether it would block;
        where the system itself can stop in time, that is half of the calls.
        """
        self._set = timeout
        if self._kernel_waits:
            self._socket.settimeout(None)
            most = _TIMEVAL.pack(int(timeout), max(1, int(timeout % 1 * 1e6)))
            for what in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                self._socket.setsockopt(socket.SOL_SOCKET, what, most)
        else:
            self._socket.settimeout(timeout)

    def _is_stale(self) -> bool:
        """Whether the server has hung up while nobody looked: that alone makes it readable."""
        now = time.monotonic()
        quiet, self._used = now - self._used, now
        return quiet > _STALE_AFTER and readable(self._socket, 0.0)

    def _read(self) -> Reply:
        deadline = time.monotonic() + self.timeout
        while (reply := self._reader.gets()) is _NOTHING:
            if time.monotonic() > deadline:
                raise TimeoutError
            data = self._socket.recv(_SIZE)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            self._reader.feed(data)
        return reply


class _Socket(socket.socket):
    """One that is closed without a word when nobody has it any more, as after an interrupt."""

    def __del__(self) -> None:
        socket.SocketType.close(self)  # also of one that is only half made


def connect(host: Host, tls: ssl.SSLContext | None, timeout: float) -> socket.socket:
    """Connect to a host within `timeout` seconds; raises `BackendUnavailable`."""
    connected: socket.socket | None = None
    try:
        if not host.port:
            connected = _Socket(socket.AF_UNIX)
            connected.settimeout(timeout)
            connected.connect(host.name)
        else:
            connected = _connect_any(host, timeout)
            tune(connected)
        if tls is not None:
            connected = tls.wrap_socket(connected, server_hostname=host.name)
    except (OSError, ValueError) as error:
        if connected is not None:
            connected.close()
        raise unreachable("Redis", host, error) from None
    return connected


def _connect_any(host: Host, timeout: float) -> socket.socket:
    """Connect to the first of a host's addresses that can be; raises the error of the first."""
    wrong: OSError | None = None
    found = socket.getaddrinfo(host.name, host.port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in found:
        connected = _Socket(family, kind, protocol)
        try:
            connected.settimeout(timeout)
            connected.connect(address)
        except OSError as error:
            connected.close()
            wrong = wrong or error
        else:
            return connected
    raise wrong or OSError(f"{host.name} has no address")


def readable(connected: socket.socket, timeout: float) -> bool:
    """Whether something, or the end, comes in so many seconds."""
    if isinstance(connected, ssl.SSLSocket) and connected.pending():
        return True
    poll = select.poll()
    try:
        poll.register(connected, select.POLLIN)
    except ValueError:  # closed, which is the end as well
        return True
    return bool(poll.poll(timeout * 1000))
