"""What a handle needs of its app: where to ask, and how long to wait."""

from __future__ import annotations

from typing import Protocol

from ropeway.clock import Clock
from ropeway.config import Settings
from ropeway.store import Backend


class Stores(Protocol):
    """Whoever can name the backend to ask: picked for the running loop, or for stepping."""

    @property
    def clock(self) -> Clock:
        """What the time of those who wait is measured by."""
        ...

    @property
    def longest_wait(self) -> float:
        """Seconds after which they look by themselves, for a hint may be lost."""
        ...

    @property
    def store(self) -> Backend:
        """The backend for the calling context."""
        ...

    @property
    def settings(self) -> Settings:
        """How long what is cancelled is kept, and more."""
        ...
