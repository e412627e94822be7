"""What a worker asks for: a pure choice from free slots and what the last answers held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from ropeway.message import HIGHEST_BAND, LOWEST_BAND, Kind


class Claim(Struct, frozen=True):
    """At most `n` messages of one queue, from bands `lowest` to `highest`."""

    queue: str
    n: int
    lowest: int = LOWEST_BAND
    highest: int = HIGHEST_BAND


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


MAX_BATCH = 200
"""Messages in one claim or commit: larger batches gain little and make others wait."""


def room(free: Mapping[Kind, int], mix: Mapping[Kind, float]) -> int:
    """Return how many messages can be taken so that, of a like `mix`, each finds a place.

    `mix` is the share of each executor kind among recent messages; a kind that has not been seen
    lately does not hold the others back.
    """
    fits = [free[kind] / share for kind, share in mix.items() if share >= 0.02]
    return min(MAX_BATCH, int(min(fits, default=min(free.values(), default=0))))


def plan_claims(queues: Sequence[str], empty: frozenset[str], n: int, turn: int) -> list[Claim]:
    """Share out `n` messages over `queues`, starting at another one each `turn`.

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
    return [Claim(queue, share if queue in busy else probe) for queue in order]
