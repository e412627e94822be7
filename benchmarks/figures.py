"""Samples to figures: medians, ratios, and the lines that show them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct, field


class Spread(NamedTuple):
    """The least, the middle and the most of some rounds."""

    least: float
    middle: float
    most: float

    def __str__(self) -> str:
        return "".join(f"{number(value):>10}" for value in self)


class Measure(NamedTuple):
    """One of the things that a scenario measures: the key in a sample, and its words.

    `compared` asks for ratios to the peers.
    """

    key: str
    words: str
    compared: bool = False


class Sample(Struct, frozen=True):
    """What one round of a scenario gave for one contender."""

    scenario: str
    contender: str
    round: int
    values: dict[str, float] = field(default_factory=dict)


def spread(values: Iterable[float]) -> Spread:
    """Summarise the rounds."""
    found = sorted(values)
    return Spread(found[0], statistics.median(found), found[-1])


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed (nearest rank)."""
    ranked = sorted(values)
    rank = math.ceil(share * len(ranked) - 1e-9)  # 0.99 x 100 is a hair more than 99
    return ranked[max(1, rank) - 1]


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds at the 50th, 95th and 99th percentile, and the longest."""
    shares = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "max_ms": 1.0}
    return {name: quantile(seconds, share) * 1000 for name, share in shares.items()}


def number(value: float) -> str:
    """Write a figure with the digits that mean something."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 0.1 else f"{value:.3f}"


def ratios(ours: Sequence[Sample], theirs: Sequence[Sample], key: str) -> list[float]:
    """Ours divided by theirs, round by round."""
    other = {sample.round: sample.values.get(key) for sample in theirs}
    found: list[float] = []
    for sample in ours:
        mine, its = sample.values.get(key), other.get(sample.round)
        if mine is not None and its:
            found.append(mine / its)
    return found


def compared(ours: Sequence[Sample], theirs: Sequence[Sample], key: str) -> Spread | None:
    """Our median by theirs, between the least and the most of the rounds, each by itself."""
    rounds = ratios(ours, theirs, key)
    if not rounds:
        return None
    middle = spread(values_of(ours, key)).middle / spread(values_of(theirs, key)).middle
    return Spread(min(rounds), middle, max(rounds))


def table(samples: Sequence[Sample], measures: Sequence[Measure], ours: Sequence[str]) -> list[str]:
    """Lines for a scenario: each figure of each contender, and under a peer how we compare.

    Of ours, the first one is compared. Where there is one contender, it is not named.
    """
    by_name = by_contender(samples)
    if len(by_name) == 1:
        rows = [(f"  {each.words}", _spread(samples, each.key)) for each in measures]
    else:
        rows = [row for each in measures for row in _rows(by_name, each, ours)]
    width = max(len(words) for words, _ in rows) + 2
    heading = f"{'':<{width}}{'min':>10}{'median':>10}{'max':>10}"
    return [heading, *(f"{words:<{width}}{found or ''}".rstrip() for words, found in rows)]


def by_contender(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Sort samples by whose they are, in the order of the first of each."""
    names = dict.fromkeys(sample.contender for sample in samples)
    return {name: [s for s in samples if s.contender == name] for name in names}


def _rows(
    by_name: Mapping[str, Sequence[Sample]], measure: Measure, ours: Sequence[str]
) -> Iterator[tuple[str, Spread | None]]:
    mine = next((name for name in ours if name in by_name), None)
    yield f"  {measure.words}", None
    for name, samples in by_name.items():
        if found := _spread(samples, measure.key):
            yield f"    {name}", found
        if measure.compared and mine is not None and name not in ours:
            yield f"      {mine} / this", compared(by_name[mine], samples, measure.key)


def _spread(samples: Sequence[Sample], key: str) -> Spread | None:
    values = values_of(samples, key)
    return spread(values) if values else None


def values_of(samples: Sequence[Sample], key: str) -> list[float]:
    """One of the values of each round that has it."""
    return [sample.values[key] for sample in samples if key in sample.values]
