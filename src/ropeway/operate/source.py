"""A backend in the place of an app, for handles that ask an app where to look."""

from __future__ import annotations

from msgspec import Struct, field

from ropeway.clock import Clock, SystemClock
from ropeway.config import Settings, load
from ropeway.connect import LONGEST_WAIT
from ropeway.store import Backend


class Source(Struct, frozen=True):
    """Where a handle asks: always this backend."""

    store: Backend
    settings: Settings = field(default_factory=lambda: load({}))
    clock: Clock = SystemClock()
    longest_wait: float = LONGEST_WAIT
