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

T = TypeVar("T")

log = logging.getLogger("ropeway.worker")

_NAP = 0.25
"""Seconds of one wait for a hint."""

_LOOK_EVERY = 2.0
"""Seconds after which commands are looked for, hinted or not."""

Orders = Mapping[Verb, Callable[[], Awaitable[str]]]
"""What to do for each verb; returns what there is to say."""


class Registry:
    """Writes what `describe` returns when it changes, and every ten seconds; obeys `orders`."""

    def __init__(
        self, store: Store, holder: str, describe: Callable[[], WorkerRecord], orders: Orders
    ) -> None:
        self._store, self._holder = store, holder
        self._describe, self._orders = describe, orders
        self._patience = Patience("commands are heard")
        self._written: WorkerRecord | None = None
        self._heard = self._looked = float("-inf")
        self._obeyed: dict[str, Reply] = {}

    async def run(self) -> None:
        """Register for ever."""
        while True:
            try:
                await self.run_once()
                hinted = await self._wait()
            except RopewayError as error:
                await self._patience.rest(error)
                continue
            if hinted:
                self._looked = float("-inf")

    async def run_once(self) -> None:
        """Write the record if it is time to, and do what was told since the last look."""
        record = self._describe()
        now = time.monotonic()
        if _differs(record, self._written) or now - self._heard >= control.HEARTBEAT:
            await self._ask(self._announce(record))
            self._written, self._heard = record, now
        if now - self._looked >= _LOOK_EVERY:
            for command in await self._ask(control.commands(self._store, self._holder)):
                await self._obey(command)
            self._obeyed.clear()
            self._looked = now

    async def leave(self) -> None:
        """Remove the record; it ends by itself if that cannot be done."""
        try:
            async with asyncio.timeout(2.0):
                await control.withdraw(self._store, self._holder)
        except (RopewayError, TimeoutError) as error:
            log.debug("the worker's record stays for a while: %s", error)

    async def _announce(self, record: WorkerRecord) -> None:
        await control.announce(self._store, replace(record, heard=await self._store.now()))

    async def _wait(self) -> list[str]:
        return await self._ask(self._store.wait([control.bell(self._holder)], _NAP), _NAP)

    async def _obey(self, command: Command) -> None:
        # Whatever is asked twice, because the answer could not be written, is done once.
        if command.id not in self._obeyed:
            log.info("told from afar: %s", command.verb)
            # Who stops has no time to answer.
            last = command.verb in {"stop", "stop_now"}
            self._obeyed[command.id] = Reply() if last else await self._do(command)
        reply = self._obeyed[command.id]
        await self._ask(control.answer(self._store, self._holder, command, reply))
        if command.verb in {"stop", "stop_now"}:
            await self._do(command)
        record = self._describe()
        if _differs(record, self._written):
            await self._ask(self._announce(record))
            self._written = record

    async def _do(self, command: Command) -> Reply:
        try:
            return Reply(text=await self._orders[command.verb]())
        except Exception as error:
            log.exception("%s, which was told from afar, failed", command.verb)
            return Reply(error=f"{type(error).__name__}: {error}")

    async def _ask(self, verb: Coroutine[Any, Any, T], expected: float = 0.0) -> T:
        return await self._patience.ask(verb, expected)


def _differs(record: WorkerRecord, written: WorkerRecord | None) -> bool:
    return written is None or (record.state, record.children) != (written.state, written.children)
