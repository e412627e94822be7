"""Where answers come: a queue of one process, which outlives its connections for a while."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from pamqp import commands

from ropeway.backends.rabbitmq.frames import Delivered, Event, ack
from ropeway.backends.rabbitmq.letters import reply_from
from ropeway.backends.rabbitmq.queues import Consume, Declare, unavailable
from ropeway.backends.rabbitmq.session import Session
from ropeway.backends.rabbitmq.wire import Channel, Lost
from ropeway.broker_half import Reply
from ropeway.errors import BackendUnavailable

_EXPIRES = 600_000
"""Milliseconds after which the server removes the queue of a process that is not connected."""

_PAUSE = 0.1


class Mailbox:
    """Consumes from the queue of answers, and does so again on another connection after a loss.

    Not `amq.rabbitmq.reply-to`: that ends with its channel, and what is answered meanwhile is gone.
    """

    def __init__(self, session: Session, heard: Callable[[Reply], None]) -> None:
        self._session, self._heard = session, heard
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()
        self._keeping: asyncio.Task[None] | None = None

    async def open(self, queue: str) -> None:
        """Return when the queue is there and what comes is heard; raises `BackendUnavailable`."""
        async with self._opening:
            if self._channel is not None and self._channel.ended is None:
                return
            wire = await self._session.wire()
            try:
                self._channel = channel = await wire.channel(self._hear)
                await channel.ask(
                    Declare(0, queue, durable=True, arguments={"x-expires": _EXPIRES}),
                    Consume(0, queue, "ropeway-answers"),
                )
            except Lost as lost:
                self._channel = None
                raise unavailable(lost) from None
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(queue))

    async def close(self) -> None:
        """Hear no more; what comes rests in the queue."""
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None
        self._channel = None

    async def _keep(self, queue: str) -> None:
        while True:
            await asyncio.sleep(_PAUSE)
            with contextlib.suppress(BackendUnavailable):
                await self.open(queue)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Delivered):
            self._heard(reply_from(event))
            if self._channel is not None and self._channel.ended is None:
                self._channel.send(ack(self._channel.number, event.tag, multiple=False))
        elif isinstance(event, commands.Basic.Cancel):
            self._channel = None  # the queue was deleted: it is made again
