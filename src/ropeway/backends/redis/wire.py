"""One connection to one server: commands go out, and replies come back in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ropeway.locations import Host

Reply = Any
"""What a server said: bytes, int, float, list, dict, None; or a `hiredis.ReplyError`, not raised."""

Pushed = Callable[[list[Reply]], None]
"""Hears what the server says unasked."""


class Lost(Exception):
    """The connection ended, or its time was over, before the reply came.

    `sent` is False where nothing of the command can have reached the server.
    """

    def __init__(self, why: str, *, sent: bool = True) -> None:
        super().__init__(why)
        self.sent = sent


class Wire(Protocol):
    """A connection to `host`; `closed` once it has ended, as far as is known here.

    A reply that takes longer than `timeout` seconds ends it: who knows what comes after that.
    """

    host: Host
    closed: bool
    timeout: float

    async def call(self, packed: bytes) -> Reply:
        """Send a command and return its reply. Raises `Lost`."""
        ...

    async def call_all(self, packed: Iterable[bytes]) -> list[Reply]:
        """Send commands without waiting between them, and return the reply of each. Raises `Lost`.

        Each is sent as soon as it is there, so that the server works while the next is made.
        """
        ...

    def close(self) -> None:
        """Give it up. May be called again."""
        ...
