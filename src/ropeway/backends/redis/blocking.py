"""The link of a process's threads: connections that block, lent to one thread at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from ropeway.backends.redis import blocking_wire
from ropeway.backends.redis.address import Address
from ropeway.backends.redis.blocking_ear import BlockingEar
from ropeway.backends.redis.blocking_wire import BlockingWire
from ropeway.backends.redis.dialling import Dialler, Word
from ropeway.backends.redis.forks import every_link
from ropeway.backends.redis.hearing import Seen
from ropeway.backends.redis.link import Runner, RunOf
from ropeway.backends.redis.script import Script
from ropeway.backends.redis.wire import Wire
from ropeway.locations import Host, tls_context
from ropeway.stepping import step

_KEPT = 16
"""Connections that are kept while nobody uses them."""


class BlockingLink:
    """Its coroutines never suspend. There are as many connections as threads that call at once."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._dialler = Dialler(address)
        self._runner = Runner(self, address)
        self._idle: list[BlockingWire] = []
        self._ear = BlockingEar(address.namespace, self._connect_ear)
        every_link.add(self)

    async def open(self) -> None:
        self.give(await self.take())

    async def close(self) -> None:
        self._close_idle()
        self._ear.close()

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
        return self._ear.wait(names, timeout, seen)

    def stir(self, names: Sequence[str]) -> None:
        """Nothing to do: who waits is in another thread, and no claim of it goes along with a commit."""

    # -- lending --------------------------------------------------------------------------

    async def take(self) -> BlockingWire:
        """Lend the connection that was used last, or a new one."""
        try:
            wire = self._idle.pop()
        except IndexError:  # tried rather than looked at: other threads take some meanwhile
            wire = None
        return wire or await self._dial()

    def give(self, wire: Wire) -> None:
        """Take one back. One that ended is the end of the others too, most likely."""
        assert isinstance(wire, BlockingWire)
        if wire.closed:
            self._close_idle()
        elif len(self._idle) < _KEPT:
            self._idle.append(wire)
        else:
            wire.close()

    def elsewhere(self, wire: Wire, reply: Exception) -> None:
        """Have the next caller look for the master."""
        self._dialler.moved(reply)
        self._close_idle()

    def forget(self) -> None:
        """Leave a parent's connections alone, in a child made by fork."""
        self._close_idle()  # its own ends of them: not a byte is sent
        self._ear.leave_alone()
        self._ear = BlockingEar(self.address.namespace, self._connect_ear)

    def _close_idle(self) -> None:
        while self._idle:
            with contextlib.suppress(IndexError):
                self._idle.pop().close()

    async def _dial(self) -> BlockingWire:
        context = tls_context(self.address.tls)

        async def to(host: Host, timeout: float) -> BlockingWire:
            return BlockingWire(host, blocking_wire.connect(host, context, timeout), timeout)

        return await self._dialler.dial(to)

    def _connect_ear(self) -> BlockingWire:
        self._dialler.forget()  # it may have been lost because another is the master
        return step(self._dial())
