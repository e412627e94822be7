"""A connection that is made anew by whoever wants it next, to any of the hosts."""

from __future__ import annotations

import asyncio
import random

from ropeway.backends.rabbitmq.address import Address
from ropeway.backends.rabbitmq.wire import Wire, connect
from ropeway.errors import BackendUnavailable
from ropeway.locations import tls_context

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two tries to connect; about that, so that not all clients come at once."""


class Session:
    """One connection at a time, for everybody on an event loop."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._wire: Wire | None = None
        self._dialling: asyncio.Task[Wire] | None = None
        self._warden: asyncio.Task[None] | None = None
        self._pause = 0.0

    async def wire(self) -> Wire:
        """Return a connection that stands, as far as is known; raises `BackendUnavailable`."""
        if self._wire is not None and not self._wire.closed:
            return self._wire
        if self._dialling is None:
            # A task of its own: the caller that happened to come first may be cancelled.
            self._dialling = asyncio.create_task(self._dial())
            self._dialling.add_done_callback(_noticed)
        return await asyncio.shield(self._dialling)

    async def close(self) -> None:
        """Give it up, after everything that was sent has arrived. Another use opens it again."""
        if self._dialling is not None:
            self._dialling.cancel()
            await asyncio.wait([self._dialling])
        if self._wire is not None:
            await self._wire.close()
            self._wire = None
            await asyncio.sleep(0)  # the loop closes it in its next turn, which may be the last

    async def _dial(self) -> Wire:
        try:
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))
            self._wire = wire = await self._any()
        except BackendUnavailable:
            self._pause = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, 2 * self._pause))
            raise
        finally:
            self._dialling = None
        self._pause = 0.0
        self._warden = asyncio.create_task(_guard(wire))
        return wire

    async def _any(self) -> Wire:
        hosts, problems = self.address.hosts, list[BackendUnavailable]()
        context = tls_context(self.address.tls)
        for host in random.sample(hosts, len(hosts)):
            try:
                return await connect(self.address, host, context)
            except BackendUnavailable as error:
                problems.append(error)
        told = "; ".join(sorted({error.fact for error in problems}))
        away = any(error.away for error in problems)
        raise BackendUnavailable(told, hint=problems[0].hint, away=away)


async def _guard(wire: Wire) -> None:
    """End a connection when its loop ends without a word: all tasks are cancelled then."""
    try:
        await wire.ended
    finally:
        wire.end("its event loop ended")


def _noticed(dialling: asyncio.Task[Wire]) -> None:
    """Callers may all have given up; then nobody else looks at how it ended."""
    if not dialling.cancelled():
        dialling.exception()
