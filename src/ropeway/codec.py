"""The contract of a codec: values to bytes and back, without running code."""

from __future__ import annotations

from typing import Any, Protocol

from msgspec import Struct


class Undecodable(Struct, frozen=True):
    """Bytes that could not be read, as a value: bad input is data, not an escape."""

    reason: str


class Codec(Protocol):
    """Writes and reads values of one content type."""

    @property
    def content_type(self) -> str:
        """The media type that names this format on a message."""
        ...

    def encode(self, value: Any) -> bytes:
        """Write `value`; raises `NotEncodable`, with the path, for what the format cannot hold."""
        ...

    def decode(self, data: bytes, type: Any) -> Any:
        """Read a value of `type`, or return `Undecodable`; never raises, runs no code."""
        ...
