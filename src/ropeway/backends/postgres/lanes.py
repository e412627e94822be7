"""Lanes: where in its queue a message waits.

Each kind has lanes of its own, and each band two of them: plain messages wait in `2 * band`, those
with limits in the next one. What is blocked is in a lane below all of these, where no claim looks.
"""

from __future__ import annotations

BY_KEY = -1
"""Behind another one of its key."""

BY_LIMIT = -2
"""Parked until a limit has room: see limits.py."""

Lane = tuple[int, int]
"""The number of a kind, and where its messages wait."""


def lane_of(band: int, *, limited: bool = False) -> int:
    """Return where a message waits that nothing blocks."""
    return 2 * band + limited


def is_limited(lane: int) -> bool:
    """Whether what waits in the lane names limits."""
    return bool(lane & 1)
