"""The client for libraries whose verbs are coroutines, with the actions that servers need.

`python -m benchmarks.coroutines MODULE ACTION [ARGUMENT ...]` runs in the library's own
environment, on uvloop where that is installed, and answers with one line of JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any, cast

from benchmarks.apps.served import Coroutines
from benchmarks.timing import WARM_UP, Answer, Timed, Watched, gap


async def fill(verbs: Coroutines, _: str, count: str) -> Answer:
    """Queue many at once; nobody asks for their results."""
    await verbs.send(0)
    measured = Timed(int(count))
    await verbs.send_many(int(count))
    return measured.answer()


async def send(verbs: Coroutines, count: str) -> Answer:
    """Send one by one."""
    await verbs.send(0)
    measured = Timed(int(count))
    for i in range(int(count)):
        await verbs.send(i)
    return measured.answer()


async def latency(verbs: Coroutines, rounds: str) -> Answer:
    """Round trips with random gaps, the first few not counted."""
    took: list[float] = []
    for number in range(int(rounds) + WARM_UP):
        await asyncio.sleep(gap())
        start = time.perf_counter()
        value = await verbs.round_trip(number)
        took.append(time.perf_counter() - start)
        assert value == 2 * number
    return {"seconds": took[WARM_UP:]}


async def starts(verbs: Coroutines, rounds: str) -> Answer:
    """From before a send to the begin of its run, with random gaps, the first few not counted."""
    watched = Watched()
    for number in range(int(rounds) + WARM_UP):
        await asyncio.sleep(gap())
        watched.sends()
        await verbs.send(number)
        while not watched.has_started():  # noqa: ASYNC110 - another process tells it by its memory
            await asyncio.sleep(watched.LOOK)
    return watched.answer()


async def prepare(verbs: Coroutines) -> Answer:
    """Make tables in a new database."""
    await verbs.prepare()
    return {}


async def facts(verbs: Coroutines) -> Answer:
    """Versions."""
    return verbs.facts()


ACTIONS: dict[str, Callable[..., Awaitable[Answer]]] = {
    action.__name__: action for action in (fill, send, latency, starts, prepare, facts)
}


async def _act(verbs: Coroutines, action: str, arguments: list[str]) -> Answer:
    await verbs.start()
    try:
        return await ACTIONS[action](verbs, *arguments)
    finally:
        await verbs.stop()


def main(arguments: list[str]) -> None:
    """Do one thing and print what came of it."""
    module, action, *rest = arguments
    verbs = cast("Coroutines", importlib.import_module(f"benchmarks.apps.{module}"))
    make: Any = None
    if find_spec("uvloop"):
        make = importlib.import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=make) as runner:
        answer = runner.run(_act(verbs, action, rest))
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)
