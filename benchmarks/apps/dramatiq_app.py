"""The tasks and verbs for Dramatiq on Redis; `Any`, for it is not installed here."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.apps.served import TTL, kept, url, versions
from benchmarks.recorder import hit

_dramatiq: Any = importlib.import_module("dramatiq")
_brokers: Any = importlib.import_module("dramatiq.brokers.redis")
_results: Any = importlib.import_module("dramatiq.results")
_backends: Any = importlib.import_module("dramatiq.results.backends")
broker: Any = _brokers.RedisBroker(url=url)
if kept:
    broker.add_middleware(_results.Results(backend=_backends.RedisBackend(url=url)))
_dramatiq.set_broker(broker)


def _add(x: int, y: int) -> int:
    hit()
    return x + y


_options = {"store_results": True, "result_ttl": TTL * 1000} if kept else {}
_task: Any = _dramatiq.actor(actor_name="add", **_options)(_add)


def send(number: int) -> str:
    return str(_task.send(number, number).message_id)


def send_many(count: int) -> list[str]:
    return [send(i) for i in range(count)]  # it has nothing that stores many at once


def round_trip(number: int) -> int:
    return int(_task.send(number, number).get_result(block=True, timeout=30_000))


def facts() -> dict[str, Any]:
    return versions("dramatiq")
