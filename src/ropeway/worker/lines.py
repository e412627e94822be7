"""A child's lines to its supervisor: one for its event loop, and one for each thread that asks."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections import deque

from msgspec import Raw

from ropeway.errors import BackendUnavailable
from ropeway.worker.framing import PIECE, Unframer, pieces
from ropeway.worker.pipe import Pipe
from ropeway.wrappers.wire import Call, Forget, Reply, Unreadable, decode_reply, encode

CREDIT, WAITING_CREDIT = 64, 256
"""Calls that one loop may have in the supervisor at once; further ones wait in the child."""

_WAITING = frozenset({"wait", "receive"})
"""Verbs that may take long: those that do not must not wait behind them."""


class Door:
    """Where lines are opened: one end of each is handed to the supervisor."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def open_line(self) -> socket.socket:
        """Return this end of a new line. Raises `BackendUnavailable` if nobody takes the other."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._connection, [b"+"], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise lost() from error
        return ours


def lost() -> BackendUnavailable:
    """Say that no reply can come any more."""
    return BackendUnavailable(
        "the line to the worker's supervisor is lost",
        hint="what was asked last may have been done, or not",
    )


class LoopLine:
    """Many calls at once, for the coroutines of one event loop."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._pipe: Pipe | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._numbers = itertools.count()
        self._replies: dict[int, asyncio.Future[Reply]] = {}
        self._credit = asyncio.Semaphore(CREDIT)
        self._waiting_credit = asyncio.Semaphore(WAITING_CREDIT)

    async def ask(self, verb: str, arguments: bytes) -> Reply:
        async with self._waiting_credit if verb in _WAITING else self._credit:
            pipe = self._pipe or self._connect()
            number = next(self._numbers)
            reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            self._replies[number] = reply
            pipe.send(Call(number, verb, Raw(arguments)))
            try:
                return await reply
            except asyncio.CancelledError:
                pipe.send(Forget(number))
                raise
            finally:
                self._replies.pop(number, None)

    async def close(self) -> None:
        if self._pipe is not None:
            self._pipe.abort()
            self._lost(self._pipe)

    def _connect(self) -> Pipe:
        connection = self._door.open_line()
        pipe = self._pipe = Pipe(self._on_frame, lambda: self._lost(pipe))
        # Until it is connected the pipe keeps what is sent.
        self._connecting = asyncio.create_task(pipe.connect(connection))
        return pipe

    def _on_frame(self, payload: bytes) -> None:
        try:
            reply = decode_reply(payload)
        except Unreadable:
            if self._pipe is not None:
                self._pipe.abort()
            return
        waiting = self._replies.get(reply.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    def _lost(self, pipe: Pipe) -> None:
        if pipe is not self._pipe:
            return  # hung up long ago
        self._pipe = None
        replies, self._replies = self._replies, {}
        for waiting in replies.values():
            if not waiting.done():
                waiting.set_exception(lost())


class ThreadLines:
    """One call at a time on each line, in the caller's own thread, which waits for the reply.

    A line serves one thread after the other. One whose call was broken off, by a time limit say,
    is given up: its reply would be taken for another's.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._idle: deque[_ThreadLine] = deque()
        self._numbers = itertools.count()

    async def ask(self, verb: str, arguments: bytes) -> Reply:
        line = self._take()
        try:
            reply = line.exchange(Call(next(self._numbers), verb, Raw(arguments)))
        except (OSError, EOFError, *Unreadable) as error:
            line.close()
            raise lost() from error
        except BaseException:
            line.close()
            raise
        self._idle.append(line)
        return reply

    async def close(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _take(self) -> _ThreadLine:
        try:
            return self._idle.pop()
        except IndexError:
            return _ThreadLine(self._door.open_line())


class _ThreadLine:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._unframer = Unframer()

    def exchange(self, call: Call) -> Reply:
        for piece in pieces(encode(call)):
            self._connection.sendall(piece)
        while data := self._connection.recv(PIECE):
            for payload in self._unframer.feed(data):
                return decode_reply(payload)
        raise EOFError

    def close(self) -> None:
        with contextlib.suppress(OSError):
            # A process that a task forked may have this end open as well.
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()
