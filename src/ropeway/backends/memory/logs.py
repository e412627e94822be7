"""Logs: lists that only grow."""

from __future__ import annotations

from collections import defaultdict

from ropeway.clock import Clock
from ropeway.transition import Append, Entry


class Logs:
    """What `append` writes, and `read` tells."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, list[Entry]] = defaultdict(list)

    def append(self, append: Append) -> int:
        """Add an entry to the end of its log and return its offset."""
        entries = self._entries[append.log]
        entries.append(Entry(len(entries) + 1, append.value, self._clock.now()))
        return len(entries)

    def read(self, log: str, after: int, limit: int) -> list[Entry]:
        """Return the entries after an offset."""
        return self._entries.get(log, [])[after : after + limit]
