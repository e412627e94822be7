"""How far a look goes at once that is to be over after a moment."""

from __future__ import annotations

import time

FIRST = 500
"""Jobs that are examined before the first look at the clock."""

MOST = 8_000
"""Jobs that are examined between two looks at the clock, however quick it is."""


class Pace:
    """Steps that begin small and grow while they are quick, so that the last one ends in time."""

    def __init__(self, moment: float) -> None:
        self._begun = self._last = time.monotonic()
        self._until = self._begun + moment
        self._share = moment / 8
        self.step = FIRST

    def over(self) -> bool:
        """Whether another step would be too much; says after each step how long the next shall be."""
        now = time.monotonic()
        took, self._last = now - self._last, now
        if took < self._share / 2:
            self.step, took = min(MOST, self.step * 2), took * 2
        elif took > self._share:
            self.step, took = max(FIRST, self.step // 2), took / 2
        return now + took >= self._until
