"""Records by key: the reference for versions, owners and time to live."""

from __future__ import annotations

import bisect
import itertools
import math

from msgspec import Struct

from ropeway.clock import Clock
from ropeway.transition import Drop, Put, Record


class _Kept(Struct, frozen=True):
    """A record and when it is over; until it is pruned it counts as absent."""

    record: Record
    expires: float


class Records:
    """What `put` and `drop` write, and `get` and `scan` tell."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._keys: list[str] = []  # in order

    def get(self, key: str) -> Record | None:
        """Return the record of a key, unless it is over."""
        kept = self._kept.get(key)
        return kept.record if kept and not self._is_over(kept) else None

    def put(self, put: Put) -> int | None:
        """Write a record and return its version; None if it has another owner than asked for."""
        if not self._is_open_to(put.key, put.if_owner):
            return None
        # Also after its time: whoever read the old one must not take the new one for it.
        old = self._kept.get(put.key)
        version = old.record.version + 1 if old else 1
        expires = math.inf if put.ttl is None else self._clock.now() + put.ttl
        if old is None:
            bisect.insort(self._keys, put.key)
        self._kept[put.key] = _Kept(Record(put.key, version, put.value, put.owner), expires)
        return version

    def drop(self, drop: Drop) -> bool:
        """Remove a record; False if there is none, or it has another owner than asked for."""
        if self.get(drop.key) is None or not self._is_open_to(drop.key, drop.if_owner):
            return False
        self._forget(drop.key)
        return True

    def scan(self, prefix: str, after: str, limit: int) -> list[Record]:
        """Return the records whose keys begin with `prefix`, by key."""
        # Python compares text by code points, which is the order of its UTF-8 bytes.
        found: list[Record] = []
        place = max(bisect.bisect_left(self._keys, prefix), bisect.bisect_right(self._keys, after))
        for key in itertools.islice(self._keys, place, None):
            if len(found) >= limit or not key.startswith(prefix):
                break
            if record := self.get(key):
                found.append(record)
        return found

    def prune(self, limit: int) -> int:
        """Remove at most `limit` records whose time is over; return how many."""
        over = [key for key, kept in self._kept.items() if self._is_over(kept)][:limit]
        for key in over:
            self._forget(key)
        return len(over)

    def _forget(self, key: str) -> None:
        del self._kept[key]
        del self._keys[bisect.bisect_left(self._keys, key)]

    def _is_open_to(self, key: str, owner: str | None) -> bool:
        record = self.get(key)
        return owner is None or record is None or record.owner == owner

    def _is_over(self, kept: _Kept) -> bool:
        return kept.expires <= self._clock.now()
