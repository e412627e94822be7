"""The scenarios."""

from __future__ import annotations

from benchmarks.contender import POSTGRES, RABBITMQ, REDIS, SQLITE
from benchmarks.scenarios import (
    backlog,
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

_ON_SQLITE = (
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
_SERVED = (
    drain.SERVED,
    send.SEND_SERVED,
    send.BULK_SERVED,
    latency.SCENARIO,
    latency.START,
    backlog.SCENARIO,
)
_BROKERED = (drain.SERVED, send.SEND_SERVED, send.BULK_SERVED, latency.SCENARIO)


def _named(scenarios: tuple[Scenario, ...]) -> dict[str, Scenario]:
    return {each.name: each for each in scenarios}


ON: dict[str, dict[str, Scenario]] = {
    SQLITE: _named(_ON_SQLITE),
    REDIS: _named(_SERVED),
    POSTGRES: _named(_SERVED),
    RABBITMQ: _named(_BROKERED),
}
"""By what contenders store in; there by name, in the order they are run."""

__all__ = ["ON", "Plan", "Scenario"]
