"""Samples to figures: medians, ratios, and the lines that show them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
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


def table(samples: Sequence[Sample], measures: Sequence[Measure], ours: Sequence[str]) -> list[str]:
    """Lines for a scenario: each figure of each contender, and under a peer how we compare."""
    names = list(dict.fromkeys(sample.contender for sample in samples))
    by_name = {name: [s for s in samples if s.contender == name] for name in names}
    lines = [f"{'':<44}{'min':>10}{'median':>10}{'max':>10}"]
    for measure in measures:
        rows: list[str] = []
        for name in names:
            values = [s.values[measure.key] for s in by_name[name] if measure.key in s.values]
            if not values:
                continue
            rows.append(f"    {name:<40}{spread(values)}")
            if measure.compared and name not in ours:
                rows += _compared(by_name, ours, name, measure.key)
        if rows:
            lines += [f"  {measure.words}", *rows]
    return lines


def _compared(
    by_name: dict[str, list[Sample]], ours: Sequence[str], name: str, key: str
) -> list[str]:
    lines: list[str] = []
    for mine in ours:
        found = ratios(by_name.get(mine, []), by_name[name], key)
        if found:
            lines.append(f"      {f'{mine} / this':<38}{spread(found)}")
    return lines
