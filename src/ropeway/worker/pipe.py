"""Frames over a socket pair: length, lane, payload; large ones in pieces, control frames first."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from ropeway.worker.frames import CONTROL, encode

_HEADER = struct.Struct("!IB")
_CONTROL, _DATA, _MORE = 0, 1, 2
PIECE = 65_536


class Pipe(asyncio.Protocol):
    """One end. `on_frame` gets each payload whole; `on_close` is called once, at the end.

    A data frame is cut into pieces of at most 64 KiB, and only what the socket takes is handed to
    it, so that a control frame never waits behind a large body.
    """

    def __init__(self, on_frame: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        self._on_frame, self._on_close = on_frame, on_close
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._control: deque[bytes] = deque()
        self._data: deque[bytes] = deque()
        self._received = bytearray()
        self._pieces: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

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
            self._control.append(_HEADER.pack(len(payload), _CONTROL) + payload)
        else:
            view = memoryview(payload)
            for start in range(0, max(1, len(payload)), PIECE):
                piece = view[start : start + PIECE]
                lane = _DATA if start + PIECE >= len(payload) else _MORE
                self._data.append(_HEADER.pack(len(piece), lane) + piece)
        self._push()

    def close(self) -> None:
        """Close once everything is written."""
        if self._transport is not None:
            self._transport.close()

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
        self._received += data
        start, end = 0, len(self._received)
        while end - start >= _HEADER.size:
            length, lane = _HEADER.unpack_from(self._received, start)
            stop = start + _HEADER.size + length
            if stop > end:
                break
            self._take(bytes(self._received[start + _HEADER.size : stop]), lane)
            start = stop
        del self._received[:start]

    def _take(self, payload: bytes, lane: int) -> None:
        if lane == _MORE:
            self._pieces.append(payload)
        elif lane == _DATA and self._pieces:
            self._pieces.append(payload)
            whole = b"".join(self._pieces)
            self._pieces.clear()
            self._on_frame(whole)
        else:
            self._on_frame(payload)
