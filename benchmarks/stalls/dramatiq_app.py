"""Dramatiq on a Redis server: every worker looks for silent ones at every command."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from benchmarks.stalls import witness

_dramatiq: Any = importlib.import_module("dramatiq")
_redis: Any = importlib.import_module("dramatiq.brokers.redis")

broker = _redis.RedisBroker(
    url=witness.broker(),
    heartbeat_timeout=int(witness.lease() * 1000),
    maintenance_chance=1_000_000,  # of a million: at every command
)
_dramatiq.set_broker(broker)
_dramatiq.actor(actor_name="lock")(witness.hold_lock)


if __name__ == "__main__":
    broker.get_actor(sys.argv[1]).send()
