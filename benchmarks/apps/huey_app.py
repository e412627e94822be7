"""The tasks and verbs for huey. It has no type information, so it is used as `Any`."""

from __future__ import annotations

import asyncio
import importlib
import os
import sqlite3
import time
from typing import Any

from benchmarks.apps.verbs import HUEY_FSYNC, IDLE_DELAY, NAP, TASK, URL, database
from benchmarks.recorder import hit

_huey: Any = importlib.import_module("huey")
_fsync = {"1": True, "0": False}.get(os.environ.get(HUEY_FSYNC, ""))
queue: Any = _huey.SqliteHuey("bench", filename=database(os.environ[URL]), fsync=_fsync)

# Its own waiting starts at 50 ms and grows; this is the quickest that its settings allow.
_POLL: dict[str, Any] = {"blocking": True, "backoff": 1.0, "max_delay": 0.001}


def _add(x: int, y: int) -> int:
    hit()
    return x + y


def _nap(x: int, y: int) -> int:
    time.sleep(NAP)
    hit()
    return x + y


_tasks: dict[str, Any] = {"add": queue.task(name="add")(_add), "nap": queue.task(name="nap")(_nap)}
_task = _tasks[os.environ.get(TASK, "add")]


def send(number: int) -> str:
    return str(_task(number, number).id)


async def asend(number: int) -> None:
    await asyncio.to_thread(_task, number, number)  # it has no verb for coroutines


def send_many(count: int) -> list[str]:
    return [send(i) for i in range(count)]  # it has nothing that stores many at once


def result(job: str, timeout: float) -> int:
    return int(queue.result(job, timeout=timeout, **_POLL))


def round_trip(number: int) -> int:
    return int(_task(number, number).get(timeout=30, **_POLL))


async def around_trip(number: int) -> int:
    raise NotImplementedError("huey runs no coroutines")


def overtake(number: int) -> int:
    return int(_task(number, number, priority=1).get(timeout=30, **_POLL))


def wait_in_vain(seconds: float) -> None:
    job = _task.schedule((1, 1), delay=IDLE_DELAY)
    try:
        job.get(timeout=seconds, **_POLL)
    except _huey.exceptions.ResultTimeout:
        return
    raise AssertionError("a job that is not due has a result")


def facts() -> dict[str, Any]:
    connection = queue.storage.conn
    return {
        "library": f"huey {_huey.__version__}",
        "sqlite": sqlite3.sqlite_version,
        "synchronous": connection.execute("pragma synchronous").fetchone()[0],
        "journal": connection.execute("pragma journal_mode").fetchone()[0],
        "promise": "takes a task from the queue before its run (at most once)",
    }
