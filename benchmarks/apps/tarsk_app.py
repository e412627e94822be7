"""The tasks and verbs for tarsk on Redis or RabbitMQ; `Any`, for it is not installed where this is checked."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.apps.served import TTL, kept, url, versions
from benchmarks.recorder import hit

_tarsk: Any = importlib.import_module("tarsk")
app: Any = _tarsk.App(broker=url)


async def _add(x: int, y: int) -> int:
    hit()
    return x + y


_task: Any = app.task(name="add", **({"result_ttl": TTL} if kept else {}))(_add)


def send(number: int) -> str:
    return str(_task.send(number, number))


def send_many(count: int) -> list[str]:
    return [send(i) for i in range(count)]  # its groups go one by one too


def round_trip(number: int) -> int:
    return int(app.result(send(number)).get(timeout=30, poll=0.001))


def facts() -> dict[str, Any]:
    return versions("tarsk-amqp" if url.startswith("amqp") else "tarsk-redis")
