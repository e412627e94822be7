"""Publishing: many at once, each confirmed by the server, and returned if no queue wants it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence

from pamqp import commands

from ropeway.backends.rabbitmq.frames import Confirmed, Event, Letter, Returned, publish
from ropeway.backends.rabbitmq.queues import Declared, unavailable
from ropeway.backends.rabbitmq.session import Session
from ropeway.backends.rabbitmq.wire import Channel, Lost, Wire
from ropeway.errors import Backpressure, Indeterminate, Refused

_TRIES = 3
_SILENT = 2.0
"""Seconds without any confirm after which a cluster is sent the same on another channel."""
_PAUSES = (0.02, 0.1, 0.3)
"""Seconds before a message that the server has refused is sent once more."""


class _Batch:
    """What one caller has published, until the server has answered for all of it, once for each."""

    def __init__(self, letters: Sequence[Letter]) -> None:
        self.letters, self.open = letters, set(range(len(letters)))
        self.refused: list[Letter] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answered(self, at: int, *, refused: bool) -> None:
        if at in self.open:
            self.open.discard(at)
            if refused:
                self.refused.append(self.letters[at])
        if not self.open and not self.done.done():
            self.done.set_result(None)

    def lost(self, why: Lost) -> None:
        if not self.done.done():
            self.done.set_exception(why)
            self.done.exception()


class _Confirming:
    """A channel on which everything is confirmed, by numbers that both sides count."""

    def __init__(self, declared: Declared, returned: set[str]) -> None:
        self.declared, self.returned = declared, returned
        self.heard = 0.0
        self.channel: Channel | None = None
        self._number, self._lowest = 0, 1
        self._pending: dict[int, tuple[_Batch, int]] = {}
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
        batch = _Batch(letters)
        self.post(batch)
        return batch

    def post(self, batch: _Batch) -> None:
        """Publish what of a batch has no answer yet."""
        assert self.channel is not None
        number, largest = self.channel.number, self.channel.wire.largest
        still = sorted(batch.open)
        self.channel.send(b"".join([publish(batch.letters[at], number, largest) for at in still]))
        for at in still:
            self._number += 1
            self._pending[self._number] = batch, at

    def _hear(self, event: Event) -> None:
        if isinstance(event, Confirmed):
            self.heard = time.monotonic()
            first = self._lowest if event.multiple else event.tag
            for number in range(first, event.tag + 1):
                if found := self._pending.pop(number, None):
                    batch, at = found
                    batch.answered(at, refused=event.refused)
            if event.multiple:
                self._lowest = event.tag + 1
            self._rest()
        elif isinstance(event, Returned):
            self.returned.add(event.properties.message_id)
        elif isinstance(event, commands.Channel.Close | commands.Connection.Close):
            pending, self._pending = {batch for batch, _ in self._pending.values()}, {}
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
        self._returned: set[str] = set()
        self._opening = asyncio.Lock()

    async def publish(self, letters: Sequence[Letter]) -> list[str]:
        """Return when the server keeps all of them; tell the ids of those that no queue wants.

        A queue that is not there is made. Raises `BackendUnavailable`, `Backpressure`, or
        `Indeterminate` where nobody knows which of them the server has.
        """
        left = list(letters)
        for _ in range(_TRIES):
            if self._returned:  # of a try before, whose end nobody heard of
                self._returned -= {each.id for each in left}
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
            ids = {each.id for each in left} & self._returned
            self._returned -= ids
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
                way = _Confirming(Declared(wire), self._returned)
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
        await self._confirmed(way, batch, way.channel.wire)
        for pause in _PAUSES:
            if not batch.refused:
                return
            await asyncio.sleep(pause)
            try:
                way = await self._way()  # that of before may have been retired meanwhile
                assert way.channel is not None
                batch = way.send(batch.refused)
            except Lost as lost:
                raise _lost(lost) from None
            await self._confirmed(way, batch, way.channel.wire)
        if batch.refused:
            raise Backpressure(
                f"RabbitMQ refused {len(batch.refused)} messages: a queue is full, or has no leader",
                hint="send them again later; those it has taken already are known by their ids",
            )

    async def _post_again(self, way: _Confirming, batch: _Batch, wire: Wire) -> None:
        """Publish on another channel what has no answer: the leader of its queue may have died.

        The channel in the server which had it asks the new one only every ten seconds. What arrives
        twice has one id.
        """
        async with self._opening:
            if self._confirming is way:
                other = _Confirming(way.declared, self._returned)
                await other.open(wire)
                self._confirming = other
                way.retire()
        if (now := self._confirming) is not None and now is not way:
            now.post(batch)

    async def _confirmed(self, way: _Confirming, batch: _Batch, wire: Wire) -> None:
        try:
            async with asyncio.timeout(wire.timeout):
                await asyncio.wait([batch.done], timeout=_SILENT)
                silent = time.monotonic() - way.heard > _SILENT and not wire.blocked
                if silent and len(self._session.address.hosts) > 1 and not batch.done.done():
                    await self._post_again(way, batch, wire)
                await batch.done
        except TimeoutError:
            why = f"{len(batch.open)} messages were not confirmed within {wire.timeout:g} s"
            if wire.blocked:
                why += f"; the server has an alarm: {wire.blocked}"
            raise Indeterminate(why, hint="repeat it unchanged") from None
        except Lost as lost:
            raise _lost(lost) from None


def _lost(lost: Lost) -> Indeterminate:
    return Indeterminate(
        f"the connection to RabbitMQ was lost before a confirm: {lost}", hint="repeat it unchanged"
    )
