"""Something that programs can read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from ropeway.errors import BadArguments
from ropeway.web.at import At

Read = Callable[[At], Awaitable[Any]]
_MOST = 500

PAGED = {"limit": f"at most so many, 1 to {_MOST}; 50 unless it is said"}
"""What an endpoint takes that returns a part of a list."""


class Endpoint(Struct, frozen=True, kw_only=True):
    """Something that can be read: where, what it takes, and what it says."""

    path: str
    says: str
    read: Read
    takes: Mapping[str, str] = {}


def limit_of(at: At) -> int:
    """Return how many rows are asked for; raises `BadArguments`."""
    given = at.asks("limit") or "50"
    if not given.isdecimal() or not 1 <= int(given) <= _MOST:
        raise BadArguments(f"limit={given!r} is no number of rows", hint=f"write 1 to {_MOST}")
    return int(given)
