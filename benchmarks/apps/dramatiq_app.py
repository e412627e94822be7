"""The tasks and verbs for Dramatiq on Redis or RabbitMQ; `Any`, for it is not installed here."""

from __future__ import annotations

import importlib
import os
from typing import Any

from benchmarks.apps.served import TTL, kept, store, url, versions
from benchmarks.apps.verbs import DRAMATIQ_CONFIRMED
from benchmarks.recorder import hit

_dramatiq: Any = importlib.import_module("dramatiq")
_results: Any = importlib.import_module("dramatiq.results")
_backends: Any = importlib.import_module("dramatiq.results.backends")


def _made() -> Any:
    if url.startswith("redis"):
        return importlib.import_module("dramatiq.brokers.redis").RedisBroker(url=url)
    confirmed = os.environ.get(DRAMATIQ_CONFIRMED) == "1"
    brokers: Any = importlib.import_module("dramatiq.brokers.rabbitmq")
    return brokers.RabbitmqBroker(url=url, confirm_delivery=confirmed)


broker: Any = _made()
if kept:
    broker.add_middleware(_results.Results(backend=_backends.RedisBackend(url=store)))
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
