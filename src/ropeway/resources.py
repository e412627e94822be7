"""Named resources: what a call needs of its worker, and the queue in which such calls wait.

A call that needs something waits in a queue of its own beside the one that it was sent to:
`images[gpu=1]`. Workers that do not offer that do not look there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

_NAME = r"[A-Za-z][A-Za-z0-9_.-]*"
_ONE = re.compile(rf"({_NAME})=([1-9][0-9]*)")
_QUEUE = re.compile(rf"(.+)\[({_NAME}=[1-9][0-9]*(?:,{_NAME}=[1-9][0-9]*)*)\]", re.DOTALL)

Needs = tuple[tuple[str, int], ...]
"""Names and amounts, by name."""


def queue_for(queue: str, needs: Needs) -> str:
    """Return where calls to `queue` wait that need something."""
    if not needs:
        return queue
    return f"{queue}[{in_words(needs, ',')}]"


@lru_cache(maxsize=4096)
def split(queue: str) -> tuple[str, Needs]:
    """Return the queue that calls were sent to, and what they need."""
    found = _QUEUE.fullmatch(queue)
    if found is None:
        return queue, ()
    needs = ((each[1], int(each[2])) for each in _ONE.finditer(found[2]))
    return found[1], tuple(sorted(needs))


def in_words(needs: Needs, between: str = ", ") -> str:
    """Write names and amounts: gpu=1, ram=4."""
    return between.join(f"{name}={amount}" for name, amount in sorted(needs))


def read(text: str) -> tuple[str, int]:
    """Return name and amount of `gpu=2`; raises `ValueError`."""
    found = _ONE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return found[1], int(found[2])


def is_usable(name: object, amount: object) -> bool:
    """Whether this names an amount of a resource."""
    return (
        isinstance(name, str)
        and not isinstance(amount, bool)
        and bool(_ONE.fullmatch(f"{name}={amount}"))
    )


def fits(needs: Needs, offers: Mapping[str, int]) -> bool:
    """Whether all that is needed is there at once."""
    return all(offers.get(name, 0) >= amount for name, amount in needs)
