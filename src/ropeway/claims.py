"""What a worker asks for, and the arithmetic of what it may have: whose turn it is, and limits."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from ropeway.message import HIGHEST_BAND, KINDS, LOWEST_BAND, Kind


class Claim(Struct, frozen=True):
    """At most `n` messages of one queue, from bands `lowest` to `highest`, of all or some kinds."""

    queue: str
    n: int
    lowest: int = LOWEST_BAND
    highest: int = HIGHEST_BAND
    kinds: tuple[Kind, ...] | None = None

    @property
    def wanted(self) -> tuple[Kind, ...]:
        """The kinds it asks for."""
        return KINDS if self.kinds is None else self.kinds


AGEING = 60.0
"""Seconds of waiting that lift a message by one band, so that low bands are not starved."""


class Limit(Struct, frozen=True, kw_only=True):
    """How many messages that name it may be leased at once, and how many may be handed out.

    `rate` is per second, on average; after a pause up to `burst` come at once. None is no limit.
    """

    name: str
    in_flight: int | None = None
    rate: float | None = None
    burst: int = 1

    def __post_init__(self) -> None:
        if self.in_flight is not None and self.in_flight < 0:
            raise ValueError(f"limit {self.name!r}: in_flight={self.in_flight} is negative")
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise ValueError(f"limit {self.name!r}: rate={self.rate} is not a positive number")
        if self.burst < 1:
            raise ValueError(f"limit {self.name!r}: burst={self.burst} lets nothing pass")


class Meter(Struct, frozen=True):
    """A limit and what of it is used: messages `leased`, and the instant the rate is `spent` up to.

    Every hand-over spends `1 / rate` seconds. What is spent may lie at most `burst` such intervals
    ahead of now; a date that was set back counts as no more than that.
    """

    limit: Limit
    leased: int = 0
    spent: float = 0.0

    def room(self, now: float) -> int | None:
        """Return how many messages may be handed out now; None is any number."""
        limit, rooms = self.limit, list[int]()
        if limit.in_flight is not None:
            rooms.append(max(0, limit.in_flight - self.leased))
        if limit.rate is not None:
            # Later by a moment than exact: a date in floating point is only so fine.
            ahead = max(0.0, self._ahead(limit.rate, now) - 1e-6)
            rooms.append(int(limit.burst - ahead * limit.rate))
        return min(rooms, default=None)

    def room_at(self, now: float) -> float:
        """Return when there may be room: now, when the rate allows it, or only after a settle."""
        limit = self.limit
        if limit.in_flight is not None and self.leased >= limit.in_flight:
            return math.inf
        if limit.rate is None:
            return now
        return now + max(0.0, self._ahead(limit.rate, now) - (limit.burst - 1) / limit.rate)

    def after_one(self, now: float) -> float:
        """Return up to when the rate is spent when one more message has been handed out."""
        rate = self.limit.rate
        return 0.0 if rate is None else now + self._ahead(rate, now) + 1 / rate

    def _ahead(self, rate: float, now: float) -> float:
        return min(max(0.0, self.spent - now), self.limit.burst / rate)


def next_turn(heads: Mapping[int, float], now: float) -> tuple[int, float] | None:
    """Return whose turn it is and for how long, of `heads`: band -> due time of its first message.

    The turn is over when the next message of the band is due later than the time returned.
    None if nothing is due.
    """
    due = [(head - AGEING * band, -band) for band, head in heads.items() if head <= now]
    if len(due) < 2:
        return (-due[0][1], now) if due else None
    (_, minus_band), (rank, minus_other) = sorted(due)[:2]
    until = rank + AGEING * -minus_band
    if minus_other < minus_band:
        until = math.nextafter(until, -math.inf)  # of equals the higher band is first
    return -minus_band, min(now, max(until, heads[-minus_band]))


MAX_BATCH = 200
"""Messages in one claim or commit: larger batches gain little and make others wait."""


def serves(wanted: Sequence[str] | None, queue: str) -> bool:
    """Whether a queue is one of those wanted: None is every one, and `*` in a name any text."""
    if wanted is None or queue in wanted:
        return True
    patterns = (".*".join(map(re.escape, each.split("*"))) for each in wanted if "*" in each)
    return any(re.fullmatch(pattern, queue, re.DOTALL) for pattern in patterns)


def plan_claims(
    queues: Sequence[str],
    empty: Collection[str],
    n: int,
    turn: int,
    kinds: tuple[Kind, ...] | None = None,
) -> list[Claim]:
    """Share out `n` messages of some kinds over `queues`, starting at another one each `turn`.

    Queues that were empty at the last look are asked for a little, the others for equal shares.
    Together the claims ask for no more than `n`; with more queues than that, some wait a turn.
    """
    if n <= 0 or not queues:
        return []
    start = turn % len(queues)
    order = [*queues[start:], *queues[:start]][:n]
    busy = [queue for queue in order if queue not in empty] or order
    idle = len(order) - len(busy)
    probe = max(1, n // (8 * len(order)))
    share = (n - probe * idle) // len(busy)
    return [Claim(queue, share if queue in busy else probe, kinds=kinds) for queue in order]
