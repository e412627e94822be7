"""The end of a worker: what has not started goes back, the rest may finish, for a while."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from ropeway.words import several
from ropeway.worker.held import Held
from ropeway.worker.places import Places
from ropeway.worker.settle import Settler

log = logging.getLogger("ropeway.worker")

HANDED_BACK = 11
"""Exit code of a worker that gave running jobs back because they did not end within `grace`."""

_MOMENT = 1.0
"""Seconds that a claim on its way has when the worker is told to end at once."""


async def drain(
    fetching: asyncio.Task[None],
    places: Places,
    settler: Settler,
    held: Held,
    now: asyncio.Event,
    *,
    grace: float,
    lease: float,
) -> int:
    """Empty the worker, in at most `grace` seconds or until `now`; returns the exit code."""
    log.info("stopping: %s in hand", several(len(held)))
    await _last_claim(fetching, now)
    try:
        async with asyncio.timeout(grace):
            await either(places.recall(), now.wait())
            while places.busy and not now.is_set():
                places.freed.clear()
                await either(places.freed.wait(), now.wait())
    except TimeoutError:
        pass
    handed_back = places.busy
    await places.close(kill=handed_back > 0)
    try:
        # Later than that the leases are over, and others run what could not be settled.
        await asyncio.wait_for(settler.drained(), lease)
    except TimeoutError:
        log.warning("%d jobs could not be settled: the backend does not answer", len(held))
        return 1
    log.info(
        "stopped: %d settled, %d lost to others, %d handed back",
        settler.settled,
        settler.lost,
        handed_back,
    )
    return HANDED_BACK if handed_back else 0


async def _last_claim(fetching: asyncio.Task[None], now: asyncio.Event) -> None:
    """Await a claim that is on its way: what it brings is given back, not left to its lease."""
    await either(asyncio.wait([fetching]), now.wait())
    if not fetching.done():
        await asyncio.wait([fetching], timeout=_MOMENT)
        fetching.cancel()


async def either(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait until one of these is over, and give up the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
