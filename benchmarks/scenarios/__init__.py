"""The scenarios, by name, in the order they are run."""

from __future__ import annotations

from benchmarks.scenarios import beside, drain, idle, latency, send
from benchmarks.scenarios.scenario import Plan, Scenario

ALL: dict[str, Scenario] = {
    each.name: each
    for each in (drain.SCENARIO, send.SCENARIO, latency.SCENARIO, beside.SCENARIO, idle.SCENARIO)
}

__all__ = ["ALL", "Plan", "Scenario"]
