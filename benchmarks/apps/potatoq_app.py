"""The tasks and verbs for potatoq, which is used as `Any`: it is not installed where this is checked."""

from __future__ import annotations

import importlib
import os
import sqlite3
import time
from typing import Any

from benchmarks.apps.verbs import IDLE_DELAY, NAP, POTATOQ_DURABLE, TASK, URL
from benchmarks.recorder import hit

_potatoq: Any = importlib.import_module("potatoq")
_exceptions: Any = importlib.import_module("potatoq.exceptions")
_options = {"durable": True} if os.environ.get(POTATOQ_DURABLE) == "1" else {}
app: Any = _potatoq.Potatoq("bench", broker=os.environ[URL], broker_transport_options=_options)
_CHUNK = 1_000
_FIRST = 9


def _add(x: int, y: int) -> int:
    hit()
    return x + y


def _nap(x: int, y: int) -> int:
    time.sleep(NAP)
    hit()
    return x + y


_tasks: dict[str, Any] = {"add": app.task(name="add")(_add), "nap": app.task(name="nap")(_nap)}
_task = _tasks[os.environ.get(TASK, "add")]


def send(number: int) -> str:
    return str(_task.delay(number, number).id)


async def asend(number: int) -> None:
    await _task.adelay(number, number)


def send_many(count: int) -> list[str]:
    jobs: list[str] = []
    for start in range(0, count, _CHUNK):
        calls = [_task.s(i, i) for i in range(start, min(count, start + _CHUNK))]
        jobs += [each.id for each in _potatoq.group(calls).apply_async().results]
    return jobs


def result(job: str, timeout: float) -> int:
    return int(app.AsyncResult(job).get(timeout=timeout))


def round_trip(number: int) -> int:
    return int(_task.delay(number, number).get(timeout=30))


async def around_trip(number: int) -> int:
    return int(await (await _task.adelay(number, number)).aget(timeout=30))


def overtake(number: int) -> int:
    job = _task.apply_async((number, number), priority=_FIRST)
    return int(job.get(timeout=30))


def wait_in_vain(seconds: float) -> None:
    job = _task.apply_async((1, 1), countdown=IDLE_DELAY)
    try:
        job.get(timeout=seconds)
    except _exceptions.TimeoutError:
        return
    raise AssertionError("a job that is not due has a result")


def facts() -> dict[str, Any]:
    connection = app.broker.conn
    return {
        "library": f"potatoq {_potatoq.__version__}",
        "sqlite": sqlite3.sqlite_version,
        "synchronous": connection.execute("pragma synchronous").fetchone()[0],
        "journal": connection.execute("pragma journal_mode").fetchone()[0],
        "promise": "acknowledges a task after its run (at least once)",
    }
