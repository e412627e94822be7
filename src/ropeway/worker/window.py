"""How many calls of one kind a child is given: its slots, and a little work to go on with."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ropeway.claims import MAX_BATCH

SHORT, LONG = 0.005, 0.020
"""Seconds from hand-over to end: below the first a child may hold more, above the second less."""

STUCK = 0.05
"""Seconds without an end after which a child whose slots are all taken gets nothing in advance."""

LARGEST = 512


class Window:
    """Grows while calls end quickly, and shrinks back to the slots when they do not.

    So a child never waits for its next short call, and never sits on calls that another child or
    machine could be running: what it holds unstarted is worth a few milliseconds. While long calls
    have all its slots it is given nothing more, however short the calls were before.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.size = slots
        self.held = 0
        self.moved = 0.0  # when one ended last

    @property
    def free(self) -> int:
        """How many more calls would start at once."""
        return max(0, self.slots - self.held)

    @property
    def room(self) -> int:
        """How many more calls may be handed over now."""
        stuck = self.held >= self.slots and time.monotonic() - self.moved > STUCK
        return 0 if stuck else max(0, self.size - self.held)

    def ended(self, count: int, slowest: float) -> None:
        """Learn from `count` calls that ended, the slowest `slowest` seconds after hand-over."""
        if slowest > LONG:
            self.size = max(self.slots, self.size // 2)
        elif slowest < SHORT and self.held * 2 >= self.size:
            self.size = min(max(LARGEST, self.slots), self.size * 2)
        self.held -= count
        self.moved = time.monotonic()

    def given_back(self) -> None:
        """One was taken back unstarted: what it held was too much."""
        self.size = self.slots
        self.held -= 1


def thin(windows: Sequence[Window]) -> bool:
    """Whether all slots of these are taken, and in advance there is room for less than is worth a claim.

    That is a quarter of what is given in advance, or a whole batch.
    """
    room = sum(each.room for each in windows)
    worth = min(MAX_BATCH, sum(each.size - each.slots for each in windows) // 4)
    return 0 < room < worth and not any(each.free for each in windows)
