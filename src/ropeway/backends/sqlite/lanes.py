"""Lanes: where in its queue a message waits.

Each band has two, so that a claim finds those that name limits without a look at the others: plain
messages wait in `2 * band`, those with limits in the next one. What is blocked is in a lane below
all of these, where no claim looks and everybody else does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ropeway.backends.sqlite import statements as sql
from ropeway.message import HIGHEST_BAND, LOWEST_BAND

BY_KEY = -1
"""Behind another one of its key."""

BY_LIMIT = -2
"""Parked until a limit has room: see limits.py."""


def lane_of(band: int, *, limited: bool = False) -> int:
    """Return where a message waits that nothing blocks."""
    return 2 * band + limited


LOWEST = BY_LIMIT
HIGHEST = lane_of(HIGHEST_BAND, limited=True)


def heads(
    execute: Callable[..., Any], queue: str, lowest: int = LOWEST, highest: int = HIGHEST
) -> Iterator[tuple[int, float]]:
    """The lanes of a queue in which something waits, highest first, and its first place."""
    while row := execute(sql.NEXT_HEAD, (queue, queue, highest, lowest)).fetchone():
        yield row
        highest = row[0] - 1


def band_heads(
    execute: Callable[..., Any], queue: str, lowest: int = LOWEST_BAND, highest: int = HIGHEST_BAND
) -> tuple[dict[int, float], set[int]]:
    """Return the first place in each band, and the bands in which limits are named."""
    places, limited = dict[int, float](), set[int]()
    for lane, place in heads(execute, queue, lane_of(lowest), lane_of(highest, limited=True)):
        band = lane >> 1
        places[band] = min(place, places.get(band, place))
        if lane & 1:
            limited.add(band)
    return places, limited
