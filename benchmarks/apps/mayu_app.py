"""The tasks and verbs for mayu; `Any`, for it is not installed where this is checked."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.apps.served import TTL, kept, url, versions
from benchmarks.recorder import hit

_mayu: Any = importlib.import_module("mayu")
app: Any = _mayu.App(broker=url, **({"result_ttl": TTL} if kept else {}))


def _add(x: int, y: int) -> int:
    hit()
    return x + y


_task: Any = app.task(name="add")(_add)


def send(number: int) -> str:
    return str(_task.delay(number, number))


def send_many(count: int) -> list[str]:
    return [send(i) for i in range(count)]  # it has nothing that stores many at once


def round_trip(number: int) -> int:
    return int(_task.delay(number, number).result(timeout=30))


def facts() -> dict[str, Any]:
    return versions("mayu")
