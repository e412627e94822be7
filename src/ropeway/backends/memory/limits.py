"""Limits: how many messages that name one are leased, and how fast they are handed out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from ropeway.claims import Limit, Meter


class Limits:
    """What is declared, and what of it is used; also of names that nobody has declared yet."""

    def __init__(self) -> None:
        self._meters: dict[str, Meter] = {}

    def declare(self, limit: Limit) -> None:
        """Make a limit, or change it: what is leased already counts."""
        self._meters[limit.name] = replace(self.meter(limit.name), limit=limit)

    def room(self, name: str, now: float) -> float:
        """Return how many messages of a limit may be handed out now."""
        room = self.meter(name).room(now)
        return math.inf if room is None else room

    def room_at(self, name: str, now: float) -> float:
        """Return when a limit may have room again; infinite if that takes a settle."""
        return self.meter(name).room_at(now)

    def without_room(self, names: Iterable[str], now: float) -> str | None:
        """Return the first of these limits that lets nothing pass now."""
        return next((name for name in names if self.room(name, now) < 1), None)

    def take(self, names: Sequence[str], now: float) -> None:
        """Count one more message as leased and handed out."""
        for name in dict.fromkeys(names):
            meter = self.meter(name)
            self._meters[name] = replace(meter, leased=meter.leased + 1, spent=meter.after_one(now))

    def give_back(self, names: Sequence[str]) -> None:
        """Count one message less as leased."""
        for name in dict.fromkeys(names):
            meter = self.meter(name)
            self._meters[name] = replace(meter, leased=meter.leased - 1)

    def meter(self, name: str) -> Meter:
        """Return a limit and what of it is used."""
        return self._meters.get(name) or Meter(Limit(name=name))
