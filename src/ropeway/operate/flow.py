"""Whether workers keep up: what arrives against what is settled, from samples of both."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from ropeway.operate.facts import Facts
from ropeway.words import duration, often


class Sample(Struct, frozen=True, kw_only=True):
    """How much there was at one instant; `settled` by each worker since it started."""

    at: float
    ready: int
    delayed: int
    running: int
    busy: int
    slots: int
    settled: dict[str, int]


class Flow(Struct, frozen=True, kw_only=True):
    """What happens in a second, over the last samples.

    `drained` is in how many seconds nothing waits any more, as things go; `more` how many slots are
    missing to hold the line. None: not known, or not needed.
    """

    arriving: float
    settled: float
    drained: float | None = None
    more: int | None = None
    says: str = ""


def sample_of(facts: Facts) -> Sample:
    """Take a sample of how things are."""
    return Sample(
        at=facts.now,
        ready=sum(each.ready for each in facts.queues),
        delayed=sum(each.delayed for each in facts.queues),
        running=sum(each.leased for each in facts.queues),
        busy=sum(sum(worker.busy.values()) for worker in facts.workers),
        slots=sum(sum(worker.slots.values()) for worker in facts.workers),
        settled={worker.holder: worker.settled for worker in facts.workers},
    )


def rate(before: Sample, after: Sample) -> float:
    """Return how many jobs were settled in a second; a worker that is new had settled none."""
    took = after.at - before.at
    if took <= 0:
        return 0.0
    done = sum(max(0, n - before.settled.get(who, 0)) for who, n in after.settled.items())
    return done / took


def flow(samples: Sequence[Sample]) -> Flow | None:
    """Tell how arrivals and service stand, once there is something to compare."""
    if len(samples) < 2:
        return None
    first, last = samples[0], samples[-1]
    took = last.at - first.at
    if took <= 0:
        return None
    settled = rate(first, last)
    held = last.ready + last.running + last.delayed - first.ready - first.running - first.delayed
    arriving = max(0.0, settled + held / took)
    drained = more = None
    if last.ready and settled > arriving:
        drained = last.ready / (settled - arriving)
    if last.ready and arriving > settled > 0 and last.busy:
        more = max(1, math.ceil(last.busy * arriving / settled) - last.slots)
    return Flow(
        arriving=arriving,
        settled=settled,
        drained=drained,
        more=more,
        says=_says(last, arriving, settled, drained, more),
    )


def _says(
    last: Sample, arriving: float, settled: float, drained: float | None, more: int | None
) -> str:
    if not last.ready:
        return "nothing waits that is due"
    if drained is not None:
        return f"workers keep up: what waits is done in {duration(drained)}, as things go"
    if more is not None:
        what = "1 more slot" if more == 1 else f"{more} more slots"
        return f"{often(arriving - settled)} more arrive than are settled: {what} would hold it"
    return "what waits is not getting less"
