"""The scenarios, by name, in the order they are run."""

from __future__ import annotations

from benchmarks.scenarios import (
    beside,
    drain,
    effort,
    flatness,
    idle,
    latency,
    memory,
    poison,
    pruning,
    send,
)
from benchmarks.scenarios.scenario import Plan, Scenario

ALL: dict[str, Scenario] = {
    each.name: each
    for each in (
        drain.SCENARIO,
        pruning.SCENARIO,
        drain.IO,
        send.SCENARIO,
        send.CONCURRENT,
        send.BULK,
        effort.SCENARIO,
        latency.SCENARIO,
        latency.LOADED,
        beside.SCENARIO,
        idle.SCENARIO,
        flatness.SCENARIO,
        memory.SCENARIO,
        poison.SCENARIO,
    )
}

__all__ = ["ALL", "Plan", "Scenario"]
