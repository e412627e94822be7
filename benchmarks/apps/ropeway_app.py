"""The tasks and verbs for ropeway, with every setting as it comes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import apsw

import ropeway
from benchmarks.apps.verbs import DATABASE, IDLE_DELAY, NAP, TASK
from benchmarks.recorder import hit
from ropeway import Ropeway
from ropeway.backends.sqlite import Database
from ropeway.backends.sqlite.ops import Writing
from ropeway.errors import ResultTimeout

_file = Path(os.environ[DATABASE])
app = Ropeway(f"sqlite:///{_file}")


@app.task
def add(x: int, y: int) -> int:
    hit()
    return x + y


@app.task
async def add_async(x: int, y: int) -> int:
    hit()
    return x + y


@app.task
async def nap(x: int, y: int) -> int:
    await asyncio.sleep(NAP)
    hit()
    return x + y


_task = {"add": add, "add_async": add_async, "nap": nap}[os.environ.get(TASK, "add")]


def send(number: int) -> str:
    return _task.send(number, number).id


async def asend(number: int) -> None:
    await _task.asend(number, number)


def send_many(count: int) -> list[str]:
    return [job.id for job in app.send_many(_task.call(i, i) for i in range(count))]


def result(job: str, timeout: float) -> int:
    return int(app.job(job).result(timeout=timeout))


def round_trip(number: int) -> int:
    job = _task.send(number, number)
    return int(job.result(timeout=30))


async def around_trip(number: int) -> int:
    job = await _task.asend(number, number)
    return int(await job.aresult(timeout=30))


def overtake(number: int) -> int:
    return int(_task.using(queue="urgent").send(number, number).result(timeout=30))


def wait_in_vain(seconds: float) -> None:
    job = _task.using(delay=IDLE_DELAY).send(1, 1)
    try:
        job.result(timeout=seconds)
    except ResultTimeout:
        return
    raise AssertionError("a job that is not due has a result")


def facts() -> dict[str, Any]:
    database = Database(_file, durability=app.settings.durability)

    def look(writing: Writing) -> dict[str, Any]:
        return {
            "synchronous": writing.execute("pragma synchronous").get,
            "journal": writing.execute("pragma journal_mode").get,
        }

    try:
        # In a transaction such as one with results has it, for others may ask for less.
        found = database.finish(database.submit(look, 1, "before"))
    finally:
        database.close()
    return {
        "library": f"ropeway {ropeway.__version__}",
        "sqlite": apsw.sqlite_lib_version(),
        "promise": "settles a task after its run (at least once)",
        **found,
    }
