"""Locks for what is decided by what is there already: one writer at a time for each name.

A commit of plain messages and settles takes none of these: rows are lock enough for it. Whatever
else a commit names falls into one of a few buckets, so that no transaction holds many locks; it
takes those that it needs in their order, so that no two wait for each other, and before it looks.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Literal

BUCKETS = 256
LIMITS = BUCKETS
"""The one lock for all that is counted for limits."""

Kind = Literal["record", "line", "join", "log", "room"]


class MoreLocks(Exception):
    """What was found needs locks that the transaction does not hold."""

    def __init__(self, numbers: Iterable[int]) -> None:
        super().__init__()
        self.numbers = frozenset(numbers)


class Raced(Exception):
    """Somebody wrote meanwhile what this transaction decided by: it begins again."""


def bucket(kind: Kind, *names: str) -> int:
    """Return the lock for a name."""
    told = "\0".join((kind, *names)).encode("utf-8", "surrogatepass")
    return zlib.crc32(told) % BUCKETS
