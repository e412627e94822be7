"""Logs: lists that grow at one end, and are trimmed at the other."""

from __future__ import annotations

from collections import defaultdict

from ropeway.clock import Clock
from ropeway.transition import Append, Entry, Trim


class Logs:
    """What `append` writes, and `read` tells."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, list[Entry]] = defaultdict(list)

    def append(self, append: Append) -> int:
        """Add an entry to the end of its log and return its offset."""
        entries = self._entries[append.log]
        offset = entries[-1].offset + 1 if entries else 1
        entries.append(Entry(offset, append.value, self._clock.now()))
        return offset

    def trim(self, trim: Trim) -> None:
        """Remove entries from the beginning of a log, but never its last one."""
        entries = self._entries.get(trim.log, [])
        if entries:
            del entries[: max(0, min(trim.upto - entries[0].offset + 1, len(entries) - 1))]

    def read(self, log: str, after: int, limit: int) -> list[Entry]:
        """Return the entries after an offset."""
        entries = self._entries.get(log, [])
        if not entries:
            return []
        first = max(0, after - entries[0].offset + 1 if after >= 0 else len(entries) + after)
        return entries[first : first + limit]
