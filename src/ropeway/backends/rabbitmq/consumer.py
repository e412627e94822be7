"""Consuming: what the server hands over ahead of need, and what is held until it is settled."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct
from pamqp import commands

from ropeway.backends.rabbitmq.frames import Delivered, Event, ack, nack
from ropeway.backends.rabbitmq.queues import Consume, Declare
from ropeway.backends.rabbitmq.wire import Channel, Lost, Wire

GIVEN_BACK = 1.0
"""Seconds after which messages that came ahead and that nobody asks for are given back."""

HELD = 600.0
"""Seconds after which a message that was handed out is acknowledged: the store has it long since,
and a server ends the connection of who holds one for long (`consumer_timeout`, 30 minutes)."""

RENEWED = 5.0
"""Seconds after which a consumer that was sent nothing is replaced. A server does not always say that
a queue was deleted and made again, and then a consumer of before gets nothing for ever."""

_MOST = 2000


class _Held(Struct):
    """A message that is not acknowledged, and since when it is with somebody."""

    delivered: Delivered
    since: float


class Consumer:
    """Has messages of one queue of the server sent here, on a channel of its own."""

    def __init__(self, line: str, arrived: Callable[[], None], held_for: float = HELD) -> None:
        self.line = line
        self._held_for = held_for
        self.ended = False
        self.touched = time.monotonic()
        self.arrived = arrived
        self._channel: Channel | None = None
        self._running = ""
        self._count = 0
        self._prefetch = 0
        self._newest = 0  # the last tag that came
        self._before = 0  # up to this one they came to consumers of before
        self._ahead: deque[Delivered] = deque()
        self._held: dict[int, _Held] = {}
        self._quiet = self.touched

    @property
    def idle(self) -> bool:
        """Whether nothing that it was sent is still to be settled."""
        return not self._held

    @property
    def stale(self) -> bool:
        """Whether it is time for another one."""
        return bool(self._running) and time.monotonic() - self._quiet > RENEWED

    @property
    def ahead(self) -> int:
        """How many messages are here and with nobody."""
        return len(self._ahead)

    @property
    def running(self) -> bool:
        """Whether more is on its way when there is more."""
        return bool(self._running)

    async def run(self, wire: Wire, n: int) -> None:
        """Have about `n` messages sent ahead; when it returns, those that were there are here.

        As long as more may be on its way it stays at fewer. The queue has to be there. Raises `Lost`.
        """
        self.touched = time.monotonic()
        wanted = min(_MOST, len(self._held) + n)
        if self._running and (wanted <= self._prefetch or not await self._is_spent()):
            return
        if self._channel is None:
            self._channel = await wire.channel(self._hear)
        await self._cancel()
        self._before = self._newest
        self._prefetch = min(_MOST, max(2 * wanted, 1))
        self._count += 1
        tag = f"ropeway-{self._count}"
        self._running = tag
        self._quiet = self.touched
        await self._channel.ask(
            commands.Basic.Qos(0, self._prefetch, False),
            Consume(0, self.line, tag),
        )
        # The answer to this comes after what was handed over at once.
        await self._channel.ask(Declare(0, self.line, passive=True))

    async def _is_spent(self) -> bool:
        """Whether nothing more is sent before something is acknowledged: nothing is on its way then.

        What is on its way to a consumer that is cancelled goes back, behind all that waits: a quorum
        queue without a limit of deliveries knows no old places.
        """
        if not self._spent:
            await self.look()
        return self._spent

    @property
    def _spent(self) -> bool:
        mine = sum(tag > self._before for tag in self._held)
        mine += sum(each.tag > self._before for each in self._ahead)
        return mine >= self._prefetch

    async def look(self) -> None:
        """Return when what the server had is here. Raises `Lost`."""
        if self._running and self._channel is not None and not self._ahead:
            await self._channel.ask(Declare(0, self.line, passive=True))

    def take(self, n: int) -> list[Delivered]:
        """Hand out at most `n` of what is here, oldest first."""
        self.touched = now = time.monotonic()
        found = list[Delivered]()
        while self._ahead and len(found) < n:
            delivered = self._ahead.popleft()
            self._held[delivered.tag] = _Held(delivered, now)
            found.append(delivered)
        return found

    def ack(self, tags: Sequence[int]) -> list[Delivered]:
        """Acknowledge what was handed out, in as few frames as can be; return what it was."""
        gone = [each for tag in sorted(tags) if (each := self._held.pop(tag, None))]
        if not gone or self._channel is None:
            return []
        lowest = self._lowest()
        below = [each.delivered.tag for each in gone if each.delivered.tag < lowest]
        number = self._channel.number
        out = [ack(number, below[-1], multiple=len(below) > 1)] if below else []
        out += [ack(number, each.delivered.tag, multiple=False) for each in gone[len(below) :]]
        self._send(b"".join(out))
        return [each.delivered for each in gone]

    async def give_back(self, tags: Sequence[int]) -> None:
        """Free what was handed out, and all that came ahead; nothing more comes until it is run."""
        tags = [tag for tag in tags if self._held.pop(tag, None)]
        await self._cancel()
        self._requeue([*tags, *(each.tag for each in self._ahead)])
        self._ahead.clear()

    def held(self, tag: int) -> Delivered | None:
        """Return a message that was handed out and is not settled."""
        found = self._held.get(tag)
        return found.delivered if found else None

    async def tend(self, *, wanted: bool) -> None:
        """Give back what nobody asks for, and acknowledge what is held for very long.

        `wanted` says that somebody waits for what comes.
        """
        now = time.monotonic()
        if wanted:
            self.touched = now
        if self._running and now - self.touched > GIVEN_BACK:
            await self.give_back([])
        if old := [tag for tag, each in self._held.items() if now - each.since > self._held_for]:
            self.ack(old)

    # -- inside ---------------------------------------------------------------------------

    def _lowest(self) -> int:
        """The oldest message that is still to be acknowledged, or one that never comes."""
        if self._held:
            return next(iter(self._held))  # tags grow, and are handed out in their order
        return self._ahead[0].tag if self._ahead else 1 << 63

    async def _cancel(self) -> None:
        if self._running and self._channel is not None:
            tag, self._running = self._running, ""
            await self._channel.ask(commands.Basic.Cancel(tag))

    def _requeue(self, tags: Sequence[int]) -> None:
        if tags and self._channel is not None:
            number = self._channel.number
            self._send(b"".join(nack(number, tag, requeue=True) for tag in tags))

    def _send(self, data: bytes) -> None:
        if self._channel is not None and self._channel.ended is None:
            self._channel.send(data)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Delivered):
            if not self._running:  # it was on its way when no more were wanted
                self._requeue([event.tag])
                return
            self._newest = event.tag
            self._ahead.append(event)
            self._quiet = time.monotonic()
        elif isinstance(
            event, commands.Basic.Cancel | commands.Channel.Close | commands.Connection.Close
        ):
            # The queue, the channel or the connection is gone: what came ahead is the server's.
            self._ahead.clear()
            self._running, self.ended = "", True
        self.arrived()

    async def close(self) -> None:
        """Give up what is held, if there is anybody to give it to."""
        self.ended = True
        with contextlib.suppress(Lost):
            await self.give_back([])
            if self._channel is not None:
                await self._channel.close()
