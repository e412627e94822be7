"""Something that programs can read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from ropeway.errors import BadArguments
from ropeway.web.at import At

Read = Callable[[At], Awaitable[Any]]
MOST = 500
"""So many rows are told at one go."""


PAGED = {"limit": f"at most so many, 1 to {MOST}; 50 unless it is said"}
"""What an endpoint takes that returns a part of a list."""


class Endpoint(Struct, frozen=True, kw_only=True):
    """Something that can be read: where, what it says, what it takes and of what shape it is.

    What it does not `take` is refused, and of what has `choices` anything that is not among them.
    """

    path: str
    says: str
    read: Read
    gives: Any = Any
    takes: Mapping[str, str] = {}
    choices: Mapping[str, Sequence[str]] = {}

    def check(self, given: Mapping[str, str]) -> None:
        """Raise `BadArguments` for what would do nothing: a slip should not go unseen."""
        for name, value in given.items():
            if name not in self.takes:
                there = ", ".join(self.takes) or "none"
                raise BadArguments(
                    f"there is no parameter {name!r} here", hint=f"there are: {there}"
                )
            if name in self.choices and value not in self.choices[name]:
                there = ", ".join(self.choices[name])
                raise BadArguments(f"{name}={value!r} is not known", hint=f"choose among {there}")


def limit_of(at: At) -> int:
    """Return how many rows are asked for; raises `BadArguments`."""
    given = at.query.get("limit", "50")
    if not (given.isascii() and given.isdecimal()) or not 1 <= int(given) <= MOST:
        raise BadArguments(f"limit={given!r} is no number of rows", hint=f"write 1 to {MOST}")
    return int(given)
