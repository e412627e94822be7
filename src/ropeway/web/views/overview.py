"""The overview: is it healthy, what is failing, what is waiting and why, do workers keep up."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

from ropeway.operate.attention import remarks
from ropeway.operate.flow import Sample, flow, rate
from ropeway.web.at import At, Shown

_LAST = 30
"""Arrivals and service are told of so many samples: a minute."""

_ROWS = 12
_SMOOTH = 5
"""Workers write down what they have settled every few seconds."""


async def overview(at: At) -> Shown:
    """Look at everything at once."""
    facts = await at.sampler.facts()
    samples = list(at.sampler.samples)
    flowing = flow(samples[-_LAST:])
    failed = sum(cause.number for cause in facts.failed)
    quarantined = sum(cause.number for cause in facts.quarantined)
    last = samples[-1]
    return Shown(
        template="overview.html",
        title=at.words("Overview"),
        values={
            "facts": facts,
            "remarks": remarks(facts),
            "flow": flowing,
            "last": last,
            "failed": failed,
            "quarantined": quarantined,
            "points": json.dumps(points(samples)),
            "rows": rows(samples),
            "capped": any(queue.ready >= facts.cap for queue in facts.queues),
        },
    )


def points(samples: Sequence[Sample]) -> list[list[float | None]]:
    """Return what the charts draw: instants, settled in a second, what is ready and what runs."""
    rates = [
        round(rate(samples[max(0, at - _SMOOTH)], each), 2) if at else None
        for at, each in enumerate(samples)
    ]
    return [
        [round(each.at, 1) for each in samples],
        rates,
        [each.ready for each in samples],
        [each.running for each in samples],
    ]


def rows(samples: Sequence[Sample]) -> list[tuple[float, float, int, int]]:
    """Return a few of the same as a table: the newest first, one for each half minute or so."""
    step = max(1, len(samples) // _ROWS)
    chosen = samples[::-1][::step][: _ROWS + 1]
    return [
        (after.at, rate(before, after), after.ready, after.running)
        for after, before in itertools.pairwise(chosen)
    ]
