"""How a loop of the worker waits for its backend: bounded, and with few words in the log."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ropeway.errors import BackendUnavailable, Indeterminate, RopewayError

T = TypeVar("T")

log = logging.getLogger("ropeway.worker")

NOTICE = 2.0
"""Seconds without an answer after which that is told."""

DEADLINE = 30.0
"""Further seconds after which an answer is given up: longer than any backend needs to say no."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two tries: who waits for long goes on within a second of the backend's return."""

_SELDOM, _SELDOMEST = 30.0, 600.0


async def once_there(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do what a worker begins with, as soon as its backend is there.

    What is away, or does not answer, is waited for: who starts a worker starts its server beside it,
    or is just replacing it. What a person has to change is raised.
    """
    waiting = Patience("jobs are fetched")
    while True:
        try:
            return await waiting.ask(work())
        except BackendUnavailable as error:
            if not error.away:
                raise
            await waiting.rest(error)
        except Indeterminate as error:
            await waiting.rest(error)


class Patience:
    """What one loop has waited for, and since when, until `ask` has an answer again.

    Of an outage the log gets a line at its start, another after 30 seconds and then ever more
    seldom, and one when it is over, however often the loop tries. `doing` is what the loop does
    then: "jobs are fetched".
    """

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._asked: float | None = None
        self._since: float | None = None
        self._pause = FIRST_PAUSE
        self._told = 0.0
        self._again = _SELDOM
        self.why = ""

    @property
    def silent(self) -> float:
        """Seconds for which an answer is missing: 0 while nothing is."""
        since = self._asked if self._since is None else self._since
        return 0.0 if since is None else max(0.0, time.monotonic() - since)

    async def ask(self, verb: Coroutine[Any, Any, T], expected: float = 0.0) -> T:
        """Await the answer of `verb`, which may take `expected` seconds without a word.

        Raises `Indeterminate` when it does not come: then `verb` is cancelled, and nobody knows
        whether the backend has done it.
        """
        loop = asyncio.get_running_loop()
        limit = asyncio.timeout(None)
        self._asked = time.monotonic() + expected
        # In two steps: after a pause of the whole machine the first is late, and the answer that
        # lies there has the second to be read.
        due = loop.time() + NOTICE + expected
        timer = loop.call_at(due, self._slow, limit, due)
        try:
            async with limit:
                answer = await verb
        except TimeoutError:
            if not limit.expired():
                raise
            raise Indeterminate(f"the backend has not answered for {DEADLINE:.0f} s") from None
        finally:
            timer.cancel()
            self._asked = None
        if self._since is not None:
            self._over()
        return answer

    async def rest(self, error: RopewayError) -> None:
        """Tell of an error, if it is time to, and pause: longer after each, up to a second."""
        self.tell(error.fact)
        await asyncio.sleep(random.uniform(0.5, 1.0) * self._pause)
        self._pause = min(LONGEST_PAUSE, self._pause * 2)

    def tell(self, why: str) -> None:
        """Note what is missing; the log gets a line if it is time for one."""
        now = time.monotonic()
        self.why = why
        if self._since is None:
            self._since = now if self._asked is None else min(now, self._asked)
            self._told, self._again = now, _SELDOM
            log.warning("no %s: %s; trying again until it works", self._doing, why)
        elif now - self._told >= self._again:
            self._told, self._again = now, min(_SELDOMEST, self._again * 2)
            log.warning("no %s for %.0f s: %s", self._doing, now - self._since, why)

    def _slow(self, limit: asyncio.Timeout, due: float) -> None:
        now = asyncio.get_running_loop().time()
        if now - due < NOTICE:  # else it is this worker that was away
            self.tell("the backend does not answer")
        limit.reschedule(now + DEADLINE)

    def _over(self) -> None:
        assert self._since is not None
        log.warning("%s again, after %.1f s", self._doing, time.monotonic() - self._since)
        self._since, self._pause, self.why = None, FIRST_PAUSE, ""
