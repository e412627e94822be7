"""What every scenario says of itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from benchmarks.contender import Contender
from benchmarks.figures import Measure


class Plan(Struct, frozen=True, kw_only=True):
    """How much is measured, and in which folder. Times are in seconds."""

    base: Path
    n: int
    sends: int
    latency_rounds: int
    idle_seconds: float
    strace_seconds: float
    pruned: int
    flat: int
    backlog: int
    twice: bool

    def tasks(self, contender: Contender) -> int:
        """How many tasks to queue: fewer for the slower, so that each needs some seconds."""
        return max(100, round(self.n * contender.share))


class Scenario(Struct, frozen=True, kw_only=True):
    """One thing to measure: `run` gives the values of one round for one contender.

    `most_rounds` bounds what is slow. A contender says in which scenarios it is.
    """

    name: str
    words: str
    measures: tuple[Measure, ...]
    run: Callable[[Contender, Plan], dict[str, float]]
    most_rounds: int = 100
