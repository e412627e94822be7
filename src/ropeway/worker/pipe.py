"""Frames over a socket pair, on an event loop: control frames first."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from ropeway.worker.frames import CONTROL, encode
from ropeway.worker.framing import Unframer, control, pieces


class Pipe(asyncio.Protocol):
    """One end. `on_frame` gets each payload whole; `on_close` is called once, at the end.

    A data frame is cut into pieces of at most 64 KiB, and only what the socket takes is handed to
    it, so that a control frame never waits behind a large body.
    """

    def __init__(self, on_frame: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        self._on_frame, self._on_close = on_frame, on_close
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._aborted = False
        self._control: deque[bytes] = deque()
        self._data: deque[bytes] = deque()
        self._unframer = Unframer()

    async def connect(self, connection: socket.socket) -> None:
        """Speak over `connection`, which this closes in the end."""
        await asyncio.get_running_loop().connect_accepted_socket(lambda: self, connection)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._aborted:
            transport.abort()
        self._push()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_close()

    @property
    def congested(self) -> bool:
        """Whether the other side does not keep up: what is sent now waits here."""
        return self._paused

    def send(self, frame: Any) -> None:
        """Send a frame, sooner or later; what is sent to a closed pipe is gone."""
        payload = encode(frame)
        if isinstance(frame, CONTROL):
            self._control.append(control(payload))
        else:
            self._data.extend(pieces(payload))
        self._push()

    def close(self) -> None:
        """Close once everything is written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now, also if the other side reads no more; what is not written is gone."""
        self._aborted = True
        if self._transport is not None:
            self._transport.abort()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._push()

    def _push(self) -> None:
        while self._transport is not None and not self._paused:
            if self._control:
                self._transport.write(self._control.popleft())
            elif self._data:
                self._transport.write(self._data.popleft())
            else:
                return

    def data_received(self, data: bytes) -> None:
        for payload in self._unframer.feed(data):
            self._on_frame(payload)
