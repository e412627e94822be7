"""Publishing: many at once, each confirmed by the server, and returned if no queue wants it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from pamqp import commands

from ropeway.backends.rabbitmq.frames import Confirmed, Event, Letter, Returned, publish
from ropeway.backends.rabbitmq.queues import Declared, unavailable
from ropeway.backends.rabbitmq.session import Session
from ropeway.backends.rabbitmq.wire import Channel, Lost, Wire
from ropeway.errors import Backpressure, Indeterminate, Refused

_TRIES = 3
_PAUSES = (0.02, 0.1, 0.3)
"""Seconds before a message that the server has refused is sent once more."""


class _Batch:
    """What one caller has published, until the server has answered for all of it."""

    def __init__(self, first: int, letters: Sequence[Letter]) -> None:
        self.left, self.refused = len(letters), list[Letter]()
        self._first, self._letters = first, letters
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answered(self, number: int, *, refused: bool) -> None:
        self.left -= 1
        if refused:
            self.refused.append(self._letters[number - self._first])
        if not self.left and not self.done.done():
            self.done.set_result(None)

    def lost(self, why: Lost) -> None:
        if not self.done.done():
            self.done.set_exception(why)
            self.done.exception()


class _Confirming:
    """A channel on which everything is confirmed, by numbers that both sides count."""

    def __init__(self, declared: Declared) -> None:
        self.declared = declared
        self.returned: set[str] = set()
        self.channel: Channel | None = None
        self._number, self._lowest = 0, 1
        self._pending: dict[int, _Batch] = {}
        self._retired = False
        self._closing: asyncio.Task[None] | None = None

    async def open(self, wire: Wire) -> None:
        self.channel = await wire.channel(self._hear)
        await self.channel.ask(commands.Confirm.Select())

    @property
    def usable(self) -> bool:
        return self.channel is not None and self.channel.ended is None

    def retire(self) -> None:
        """End it once everything is confirmed."""
        self._retired = True
        self._rest()

    def _rest(self) -> None:
        if self._retired and not self._pending and self.channel is not None:
            self._closing = asyncio.create_task(_close(self.channel))

    def send(self, letters: Sequence[Letter]) -> _Batch:
        assert self.channel is not None
        number, largest = self.channel.number, self.channel.wire.largest
        batch = _Batch(self._number + 1, letters)
        self.channel.send(b"".join([publish(each, number, largest) for each in letters]))
        for _ in letters:
            self._number += 1
            self._pending[self._number] = batch
        return batch

    def _hear(self, event: Event) -> None:
        if isinstance(event, Confirmed):
            first = self._lowest if event.multiple else event.tag
            for number in range(first, event.tag + 1):
                if batch := self._pending.pop(number, None):
                    batch.answered(number, refused=event.refused)
            if event.multiple:
                self._lowest = event.tag + 1
            self._rest()
        elif isinstance(event, Returned):
            self.returned.add(event.properties.message_id)
        elif isinstance(event, commands.Channel.Close | commands.Connection.Close):
            pending, self._pending = set(self._pending.values()), {}
            for batch in pending:
                batch.lost(Lost(event.reply_text))


async def _close(channel: Channel) -> None:
    with contextlib.suppress(Lost):
        await channel.close()


class Publisher:
    """Publishes on a connection of its own: one that is blocked by an alarm stops nothing else."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._confirming: _Confirming | None = None
        self._opening = asyncio.Lock()

    async def publish(self, letters: Sequence[Letter]) -> list[str]:
        """Return when the server keeps all of them; tell the ids of those that no queue wants.

        A queue that is not there is made. Raises `BackendUnavailable`, `Backpressure`, or
        `Indeterminate` where nobody knows which of them the server has.
        """
        left = list(letters)
        for _ in range(_TRIES):
            try:
                way = await self._way()
                await way.declared.declare(
                    {each.key for each in left if each.mandatory and not each.exchange}
                )
                assert way.channel is not None
                await self._unblocked(way.channel.wire)
                batch = way.send(left)
            except ValueError as error:
                raise Refused(f"AMQP cannot carry it: {error}", hint="use shorter names") from None
            except Lost as lost:
                raise unavailable(lost) from None
            await self._taken(way, batch)
            ids = {each.id for each in left} & way.returned
            way.returned -= ids
            lost_ones = [each for each in left if each.id in ids]
            left = [each for each in lost_ones if not each.exchange]
            if not left:
                return [each.id for each in lost_ones]
            # What a channel knows of a queue that was deleted it applies to the new one, too: what
            # it publishes there is confirmed, and nobody gets it.
            if self._confirming is way:
                self._confirming = None
            way.retire()
        raise Backpressure(
            f"the queue {left[0].key!r} is removed as soon as it is made",
            hint="who deletes it, or which policy?",
        )

    async def declared(self) -> Declared:
        """Return what is known of the queues; raises `BackendUnavailable`."""
        try:
            return (await self._way()).declared
        except Lost as lost:
            raise unavailable(lost) from None

    async def _way(self) -> _Confirming:
        wire = await self._session.wire()
        async with self._opening:
            way = self._confirming
            if way is None or not way.usable:
                way = _Confirming(Declared(wire))
                await way.open(wire)
                self._confirming = way
        return way

    async def _unblocked(self, wire: Wire) -> None:
        """Wait a while for an alarm of the server to end."""
        if wire.unblocked.is_set():
            return
        try:
            async with asyncio.timeout(wire.timeout):
                await wire.unblocked.wait()
        except TimeoutError:
            raise Backpressure(
                f"the RabbitMQ server {wire.host} takes no messages: {wire.blocked}",
                hint="rabbitmqctl status shows its alarms; give it memory or disk, then send again",
            ) from None

    async def _taken(self, way: _Confirming, batch: _Batch) -> None:
        """Wait for all confirms, and publish again what was refused: a new queue has no leader yet."""
        assert way.channel is not None
        await self._confirmed(batch, way.channel.wire)
        for pause in _PAUSES:
            if not batch.refused:
                return
            await asyncio.sleep(pause)
            try:
                batch = way.send(batch.refused)
            except Lost as lost:
                raise _lost(lost) from None
            await self._confirmed(batch, way.channel.wire)
        if batch.refused:
            raise Backpressure(
                f"RabbitMQ refused {len(batch.refused)} messages: a queue is full, or has no leader",
                hint="send them again later; those it has taken already are known by their ids",
            )

    async def _confirmed(self, batch: _Batch, wire: Wire) -> None:
        try:
            async with asyncio.timeout(wire.timeout):
                await batch.done
        except TimeoutError:
            why = f"{batch.left} messages were not confirmed within {wire.timeout:g} s"
            if wire.blocked:
                why += f"; the server has an alarm: {wire.blocked}"
            raise Indeterminate(why, hint="repeat it unchanged") from None
        except Lost as lost:
            raise _lost(lost) from None


def _lost(lost: Lost) -> Indeterminate:
    return Indeterminate(
        f"the connection to RabbitMQ was lost before a confirm: {lost}", hint="repeat it unchanged"
    )
