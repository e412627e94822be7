"""The link of one event loop: one connection for all commands, and one that hears hints."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from ropeway.backends.redis.address import Address
from ropeway.backends.redis.dialling import Dialler, Word
from ropeway.backends.redis.hearing import Seen
from ropeway.backends.redis.link import Runner, RunOf
from ropeway.backends.redis.looped_ear import LoopedEar
from ropeway.backends.redis.looped_wire import LoopedWire, connect
from ropeway.backends.redis.script import Script
from ropeway.backends.redis.wire import Pushed
from ropeway.locations import Host, tls_context


class LoopedLink:
    """Many callers share one connection, and their commands are on their way at once.

    A connection that has ended is made anew by whoever wants it next. Belongs to one event loop.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._dialler = Dialler(address)
        self._runner = Runner(self, address)
        self._ear = LoopedEar(address.namespace, self._connect_ear)
        self._wire: LoopedWire | None = None
        self._dialling: asyncio.Task[LoopedWire] | None = None
        self._warden: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self.take()

    async def close(self) -> None:
        await self._ear.close()
        if self._dialling is not None:
            self._dialling.cancel()
            await asyncio.wait([self._dialling])
        if self._wire is not None:
            self._wire.close()
            self._wire = None
            await asyncio.sleep(0)  # the loop closes it in its next turn, which may be the last

    async def run(self, script: Script, keys: Sequence[str | bytes], args: Sequence[Word]) -> Any:
        return await self._runner.run(script, keys, args)

    async def run_all(self, keys: Sequence[str | bytes], calls: Iterator[RunOf]) -> list[Any]:
        return await self._runner.run_all(keys, calls)

    async def command(self, *words: Word) -> Any:
        return await self._runner.command(*words)

    def seen(self, names: Sequence[str]) -> Seen:
        return self._ear.seen(names)

    async def wait(
        self, names: Sequence[str], timeout: float, seen: Seen | None = None
    ) -> list[str]:
        return await self._ear.wait(names, timeout, seen)

    def stir(self, names: Sequence[str]) -> None:
        self._ear.stir(names)

    # -- lending --------------------------------------------------------------------------

    async def take(self) -> LoopedWire:
        """Return the connection, which is made if there is none."""
        if self._wire is not None and not self._wire.closed:
            return self._wire
        if self._dialling is None:
            # A task of its own: the caller that happened to come first may be cancelled.
            self._dialling = asyncio.create_task(self._dial())
            self._dialling.add_done_callback(_noticed)
        return await asyncio.shield(self._dialling)

    def give(self, wire: object) -> None:
        """Nothing to do: the connection is everybody's."""

    def elsewhere(self, wire: object, reply: Exception) -> None:
        """Have the next caller look for the master, and let replies on their way arrive."""
        if wire is self._wire and self._wire is not None:
            self._dialler.moved(reply)
            self._wire.retire()
            self._wire = None

    async def _dial(self) -> LoopedWire:
        try:
            self._wire = wire = await self._connect()
        finally:
            self._dialling = None
        self._warden = asyncio.create_task(_guard(wire))
        return wire

    async def _connect_ear(self, pushed: Pushed) -> LoopedWire:
        self._dialler.forget()  # it may have been lost because another is the master
        return await self._connect(pushed)

    async def _connect(self, pushed: Pushed | None = None) -> LoopedWire:
        context = tls_context(self.address.tls)

        async def to(host: Host, timeout: float) -> LoopedWire:
            return await connect(host, context, timeout, pushed)

        return await self._dialler.dial(to)


async def _guard(wire: LoopedWire) -> None:
    """Close a connection when its loop ends without a word: all tasks are cancelled then."""
    try:
        await wire.ended
    finally:
        wire.close()


def _noticed(dialling: asyncio.Task[LoopedWire]) -> None:
    """Callers may all have given up; then nobody else looks at how it ended."""
    if not dialling.cancelled():
        dialling.exception()
