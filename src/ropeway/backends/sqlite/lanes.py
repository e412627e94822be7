"""Lanes: where in its queue a message waits.

Each kind has lanes of its own, so that what a claim does not ask for costs it nothing. Each band has
two of them, so that a claim finds those that name limits without a look at the others: plain
messages wait in `2 * band`, those with limits in the next one. What is blocked is in a lane below
all of these, where no claim looks and everybody else does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ropeway.backends.sqlite import statements as sql
from ropeway.claims import Claim
from ropeway.envelope import KIND_NUMBERS
from ropeway.message import HIGHEST_BAND

BY_KEY = -1
"""Behind another one of its key."""

BY_LIMIT = -2
"""Parked until a limit has room: see limits.py."""

Lane = tuple[int, int]
"""The number of a kind, and where its messages wait."""

Band = dict[Lane, float]
"""The lanes of one band in which something waits, each with its first place."""


def lane_of(band: int, *, limited: bool = False) -> int:
    """Return where a message waits that nothing blocks."""
    return 2 * band + limited


LOWEST = BY_LIMIT
HIGHEST = lane_of(HIGHEST_BAND, limited=True)


def kinds_of(claim: Claim) -> Iterator[int]:
    """The numbers of the kinds that a claim asks for."""
    return map(KIND_NUMBERS.__getitem__, claim.wanted)


def heads(
    execute: Callable[..., Any], queue: str, kind: int, lowest: int = LOWEST, highest: int = HIGHEST
) -> Iterator[tuple[int, float]]:
    """The lanes of a kind in which something waits, highest first, and its first place."""
    while row := execute(sql.NEXT_HEAD, (queue, kind, queue, kind, highest, lowest)).fetchone():
        yield row
        highest = row[0] - 1


def bands(
    execute: Callable[..., Any], queue: str, kinds: Iterable[int], lowest: int, highest: int
) -> dict[int, Band]:
    """Return the bands in which something waits that a claim may have, lane by lane."""
    found: dict[int, Band] = {}
    for kind in kinds:
        for lane, place in heads(
            execute, queue, kind, lane_of(lowest), lane_of(highest, limited=True)
        ):
            found.setdefault(lane >> 1, {})[kind, lane] = place
    return found


def is_plain(lane: Lane) -> bool:
    """Whether nothing in the lane names a limit."""
    return not lane[1] & 1
