"""How frames lie in a stream of bytes: length, lane, payload; large ones in pieces."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_HEADER = struct.Struct("!IB")
_CONTROL, _DATA, _MORE = 0, 1, 2
PIECE = 65_536


def control(payload: bytes) -> bytes:
    """Wrap a frame that may come between the pieces of another."""
    return _HEADER.pack(len(payload), _CONTROL) + payload


def pieces(payload: bytes) -> Iterator[bytes]:
    """Wrap a frame of any size, in pieces of at most 64 KiB."""
    view = memoryview(payload)
    for start in range(0, max(1, len(payload)), PIECE):
        piece = view[start : start + PIECE]
        lane = _DATA if start + PIECE >= len(payload) else _MORE
        yield _HEADER.pack(len(piece), lane) + piece


class Unframer:
    """Makes frames of the bytes that arrive, however they are cut."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Take what has arrived, and return each payload that is now whole."""
        self._received += data
        start, end = 0, len(self._received)
        whole: list[bytes] = []
        while end - start >= _HEADER.size:
            length, lane = _HEADER.unpack_from(self._received, start)
            stop = start + _HEADER.size + length
            if stop > end:
                break
            whole += self._take(bytes(self._received[start + _HEADER.size : stop]), lane)
            start = stop
        del self._received[:start]
        return whole

    def _take(self, payload: bytes, lane: int) -> Iterator[bytes]:
        if lane == _CONTROL or (lane == _DATA and not self._pieces):
            yield payload
            return
        self._pieces.append(payload)
        if lane == _DATA:
            yield b"".join(self._pieces)
            self._pieces.clear()
