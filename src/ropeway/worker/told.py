"""What a worker does when it is told to, from afar or by a signal that cannot be done at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from ropeway.control import Verb
from ropeway.worker.orders import Orders
from ropeway.worker.reporting import Reporter

log = logging.getLogger("ropeway.worker")

_LAST_CLAIM = 5.0
"""Seconds to wait for a claim that was on its way when the worker became quiet."""


def verbs(orders: Orders, reporter: Reporter) -> Mapping[Verb, Callable[[], Awaitable[str]]]:
    """Return what to do for each verb of a command; each returns what there is to say."""

    async def be_quiet() -> str:
        orders.be_quiet()
        # Who has the answer knows that nothing is claimed any more.
        assert reporter.work is not None
        await asyncio.wait_for(reporter.work.fetcher.rested.wait(), _LAST_CLAIM)
        return ""

    async def resume() -> str:
        orders.resume()
        return ""

    async def stop() -> str:
        orders.ask_to_stop()
        return ""

    async def stop_now() -> str:
        orders.stop_now()
        return ""

    return {
        "quiet": be_quiet,
        "resume": resume,
        "stop": stop,
        "stop_now": stop_now,
        "stack": reporter.stacks,
    }


async def log_stacks(reporter: Reporter) -> None:
    """Write the stacks to the log, whatever its level."""
    log.critical("stacks, as asked for by SIGUSR1:\n%s", await reporter.stacks())
