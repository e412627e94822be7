"""The loop that registers: keeps the worker's record, and does what the worker is told from afar."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from msgspec.structs import replace

from ropeway import control
from ropeway.control import Command, Reply, Verb, WorkerRecord
from ropeway.errors import RopewayError
from ropeway.store import Store
from ropeway.worker.patience import Patience
from ropeway.worker.ticks import until

T = TypeVar("T")

log = logging.getLogger("ropeway.worker")

_LOOK_ROUND = 1.0
"""Seconds after which it is seen whether the record has changed."""

_LOOK_EVERY = 5.0
"""Seconds after which commands are looked for, hinted or not."""

Orders = Mapping[Verb, Callable[[], Awaitable[str]]]
"""What to do for each verb; returns what there is to say."""


class Registry:
    """Writes what `describe` returns every ten seconds, or when `changing` does; obeys `orders`.

    Somebody has to `ring` when `control.bell` is hinted.
    """

    def __init__(
        self,
        store: Store,
        holder: str,
        describe: Callable[[], WorkerRecord],
        changing: Callable[[], object],
        orders: Orders,
    ) -> None:
        self._store, self._holder = store, holder
        self._describe, self._changing, self._orders = describe, changing, orders
        self._patience = Patience("commands are heard")
        self._rung = asyncio.Event()
        self._written: object = None
        self._heard = self._looked = float("-inf")
        self._obeyed: dict[str, Reply] = {}

    async def run(self) -> None:
        """Register for ever."""
        while True:
            try:
                await self.run_once()
            except RopewayError as error:
                await self._patience.rest(error)
                self._looked = float("-inf")  # what was not answered is told again
            else:
                await self._wait()

    def ring(self) -> None:
        """Look for commands now."""
        self._looked = float("-inf")
        self._rung.set()

    async def run_once(self) -> None:
        """Write the record if it is time to, and do what was told since the last look."""
        now = time.monotonic()
        if now - self._heard >= control.HEARTBEAT:
            self._written, self._heard = None, now
        await self._announce()
        if now - self._looked >= _LOOK_EVERY:
            self._looked = now
            for command in await self._ask(control.commands(self._store, self._holder)):
                await self._obey(command)
            self._obeyed.clear()

    async def leave(self) -> None:
        """Remove the record; it ends by itself if that cannot be done."""
        try:
            async with asyncio.timeout(2.0):
                await control.withdraw(self._store, self._holder)
        except (RopewayError, TimeoutError) as error:
            log.debug("the worker's record stays for a while: %s", error)

    async def _announce(self) -> None:
        changing = self._changing()
        if changing != self._written:
            now = await self._ask(self._store.now())
            record = replace(self._describe(), heard=now)
            await self._ask(control.announce(self._store, record))
            self._written = changing

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(until(_LOOK_ROUND)):
                await self._rung.wait()
        except TimeoutError:
            pass
        self._rung.clear()

    async def _obey(self, command: Command) -> None:
        # Whatever is asked twice, because the answer could not be written, is done once.
        if command.id not in self._obeyed:
            log.info("told from afar: %s", command.verb)
            # Who stops has no time to answer.
            last = command.verb in {"stop", "stop_now"}
            self._obeyed[command.id] = Reply() if last else await self._do(command)
        # Who has the answer, and looks, sees what has changed.
        await self._announce()
        reply = self._obeyed[command.id]
        await self._ask(control.answer(self._store, self._holder, command, reply))
        if command.verb in {"stop", "stop_now"}:
            await self._do(command)

    async def _do(self, command: Command) -> Reply:
        try:
            return Reply(text=await self._orders[command.verb]())
        except Exception as error:
            log.exception("%s, which was told from afar, failed", command.verb)
            return Reply(error=f"{type(error).__name__}: {error}")

    async def _ask(self, verb: Coroutine[Any, Any, T], expected: float = 0.0) -> T:
        return await self._patience.ask(verb, expected)
