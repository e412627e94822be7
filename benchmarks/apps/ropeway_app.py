"""The tasks and verbs for ropeway, with every setting as it comes."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import apsw

import ropeway
from benchmarks.apps.verbs import IDLE_DELAY, NAP, STORE, TASK, URL, database
from benchmarks.recorder import hit
from ropeway import Ropeway
from ropeway.backends.sqlite import Database
from ropeway.backends.sqlite.ops import Writing
from ropeway.envelope import STATES
from ropeway.errors import ResultTimeout
from ropeway.message import HIGHEST_BAND

_url = os.environ[URL]
_file = Path(database(_url))
_store = os.environ.get(STORE)
app = Ropeway(broker=_url, store=_store) if _store else Ropeway(_url)


@app.task
def add(x: int, y: int) -> int:
    hit()
    return x + y


@app.task
async def add_async(x: int, y: int) -> int:
    hit()
    return x + y


@app.task(store=False)
def add_bare(x: int, y: int) -> int:
    hit()
    return x + y


@app.task(store=False)
async def add_bare_async(x: int, y: int) -> int:
    hit()
    return x + y


@app.task
async def nap(x: int, y: int) -> int:
    await asyncio.sleep(NAP)
    hit()
    return x + y


@app.task
def doze(x: int, y: int) -> int:
    time.sleep(NAP)
    hit()
    return x + y


@app.task(priority=HIGHEST_BAND)
def kill(way: str) -> None:
    if way == "exit":
        os._exit(1)
    os.kill(os.getpid(), signal.SIGSEGV if way == "segv" else signal.SIGKILL)


_TASKS = {
    "add": add,
    "add_async": add_async,
    "add_bare": add_bare,
    "add_bare_async": add_bare_async,
    "nap": nap,
    "doze": doze,
}
_task = _TASKS[os.environ.get(TASK, "add")]


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


def poison(way: str) -> str:
    """Ask for a call that kills its process, soon after the worker's start."""
    return kill.using(delay=2.0).send(way).id


def states() -> dict[str, int]:
    """How many jobs are in each state."""
    connection = apsw.Connection(str(_file), flags=apsw.SQLITE_OPEN_READONLY)
    counts: list[Any] = connection.execute(
        "select state, count(*) from job group by state"
    ).fetchall()
    return {STATES[state]: count for state, count in counts}


def facts() -> dict[str, Any]:
    library = {"library": f"ropeway {ropeway.__version__}"}
    return {**library, **_stores()} if _url.startswith("sqlite:") else library


def _stores() -> dict[str, Any]:
    opened = Database(_file, durability=app.settings.durability)

    def look(writing: Writing) -> dict[str, Any]:
        return {
            "synchronous": writing.execute("pragma synchronous").get,
            "journal": writing.execute("pragma journal_mode").get,
        }

    try:
        # In a transaction such as one with results has it, for others may ask for less.
        found = opened.finish(opened.submit(look, 1, "before"))
    finally:
        opened.close()
    return {
        "sqlite": apsw.sqlite_lib_version(),
        "promise": "settles a task after its run (at least once)",
        **found,
    }
