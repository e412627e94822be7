"""The tasks and verbs for huey on Redis; `Any`, for it has no type information."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.apps.served import kept, url, versions
from benchmarks.recorder import hit

_huey: Any = importlib.import_module("huey")
queue: Any = _huey.RedisHuey("bench", url=url, results=kept)

# Its own waiting starts at 50 ms and grows; this is the quickest that its settings allow.
_POLL: dict[str, Any] = {"blocking": True, "backoff": 1.0, "max_delay": 0.001}


def _add(x: int, y: int) -> int:
    hit()
    return x + y


_task: Any = queue.task(name="add")(_add)


def send(number: int) -> str:
    return str(_task(number, number))  # without results nothing to ask by is returned


def send_many(count: int) -> list[str]:
    return [send(i) for i in range(count)]  # it has nothing that stores many at once


def round_trip(number: int) -> int:
    return int(_task(number, number).get(timeout=30, **_POLL))


def facts() -> dict[str, Any]:
    return versions("huey")
