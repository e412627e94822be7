"""How soon after an outage work went on."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from msgspec import Struct

from chaos.evidence import Evidence, Strike
from chaos.places.strikes import KINDS

_DISTURBING = ("kill supervisor", "kill at", "stop", "freeze", "restart", "lock")
"""Strikes that keep a worker from its work for a while."""

_WHILE = 3_000_000_000
"""Nanoseconds in which a worker is surely back after such a strike has ended."""


class Return(Struct, frozen=True, kw_only=True):
    """The end of an outage, and the seconds until the next call began to run.

    `undisturbed`: all workers were there meanwhile, so that nothing else explains the wait.
    """

    t: int
    nemesis: str
    lasted: float
    after: float
    undisturbed: bool


def returns(evidence: Evidence) -> list[Return]:
    """The returns of what all workers need, in their order; without the last, if nothing followed."""
    starts = sorted(run.started for runs in evidence.runs.values() for run in runs)
    found = []
    for strike in evidence.strikes:
        if strike.nemesis not in KINDS or not KINDS[strike.nemesis].whole:
            continue
        following = bisect_left(starts, strike.until)
        if following < len(starts):
            found.append(_returned(strike, starts[following], evidence.strikes))
    return found


def _returned(strike: Strike, start: int, strikes: Sequence[Strike]) -> Return:
    disturbing = (each for each in strikes if each.nemesis.startswith(_DISTURBING))
    return Return(
        t=strike.until,
        nemesis=strike.nemesis,
        lasted=(strike.until - strike.t) / 1e9,
        after=(start - strike.until) / 1e9,
        undisturbed=not any(
            each.t < start and strike.until < each.until + _WHILE for each in disturbing
        ),
    )
