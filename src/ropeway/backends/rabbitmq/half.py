"""RabbitMQ as the half of a pair that carries messages."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from ropeway.backends.rabbitmq.address import Address
from ropeway.backends.rabbitmq.consumer import HELD, Consumer
from ropeway.backends.rabbitmq.exchanges import shape
from ropeway.backends.rabbitmq.frames import Delivered
from ropeway.backends.rabbitmq.letters import answer_of, dead, letter_of, line_of, message_from
from ropeway.backends.rabbitmq.mailbox import Mailbox
from ropeway.backends.rabbitmq.publisher import Publisher
from ropeway.backends.rabbitmq.queues import unavailable
from ropeway.backends.rabbitmq.session import Session
from ropeway.backends.rabbitmq.wire import Lost
from ropeway.broker_half import Arrival, Reply
from ropeway.capabilities import Capabilities
from ropeway.decide import Keep
from ropeway.errors import Unroutable
from ropeway.message import KINDS, Kind, Message
from ropeway.topology import Topology

_TENDED = 0.25
"""Seconds between two looks at what has been here for long."""

_ROOM = 48
"""Bits of a tag that are the server's; the rest says whose consumer's it is."""

_TRIES = 3


class RabbitHalf:
    """Publishes on one connection and consumes on another. Belongs to one event loop.

    A queue is up to three on the server, one for each kind of message that is used. What a consumer
    is sent ahead of need stays for a second, and goes back if nobody asks for it. With `heard`, no
    store has what is held, so it is held for as long as it takes; and answers are heard.
    """

    capabilities = Capabilities(store=False, atomic=False, search=False, recorded=False)

    def __init__(self, address: Address, heard: Callable[[Reply], None] | None = None) -> None:
        self._held_for = HELD if heard is None else math.inf
        self._sending, self._taking = Session(address), Session(address)
        self._publisher = Publisher(self._sending)
        self._mailbox = None if heard is None else Mailbox(self._taking, heard)
        self._consumers: dict[str, Consumer] = {}
        self._numbers = itertools.count(1)
        self._numbered: dict[int, Consumer] = {}
        self._number_of: dict[Consumer, int] = {}
        self._starting = asyncio.Lock()
        self._used: set[str] = set()
        self._arrived = Counter[str]()
        self._seen: dict[str, int] = {}
        self._listening: dict[asyncio.Event, Sequence[str]] = {}
        self._tending: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._sending.wire()

    async def close(self) -> None:
        if self._tending is not None:
            self._tending.cancel()
            self._tending = None
        if self._mailbox is not None:
            await self._mailbox.close()
        for consumer in list(self._numbered.values()):
            await consumer.close()
        self._consumers.clear()
        self._numbered.clear()
        self._number_of.clear()
        await self._taking.close()
        await self._sending.close()

    async def publish(self, messages: Sequence[Message]) -> None:
        if messages:
            self._used.update(each.queue for each in messages)
            unwanted = await self._publisher.publish([letter_of(each) for each in messages])
            if unwanted:
                raise _unroutable([each for each in messages if each.id in unwanted])

    async def shape(self, before: Topology, now: Topology) -> None:
        try:
            await shape(await self._publisher.declared(), before, now)
        except Lost as lost:
            raise unavailable(lost) from None

    async def reply(self, replies: Sequence[Reply]) -> None:
        await self._publisher.publish([answer_of(each) for each in replies])

    async def listen(self, queue: str) -> None:
        """Hear the answers that come to a queue, which is made; raises `BackendUnavailable`."""
        assert self._mailbox is not None
        await self._mailbox.open(queue)

    async def get(
        self, queue: str, n: int, kinds: Collection[Kind] = KINDS, *, look: bool = True
    ) -> list[Arrival]:
        self._used.add(queue)
        lines = [(kind, line_of(queue, kind)) for kind in KINDS if kind in kinds and n]
        for _, line in lines:
            await self._consumer(queue, line, n)
        if look and not any(self._ahead(line) for _, line in lines):
            await self._look([line for _, line in lines])
        found: list[Arrival] = []
        for kind, line in lines:
            if (consumer := self._consumers.get(line)) is None:
                continue  # it has just been lost; what it had comes back
            number = self._number_of[consumer] << _ROOM
            found += [
                Arrival(
                    message=message_from(each, queue, kind),
                    tag=number | each.tag,
                    redelivered=each.redelivered,
                )
                for each in consumer.take(n - len(found))
            ]
        return found

    async def ack(self, tags: Sequence[int]) -> None:
        for consumer, mine in self._whose(tags):
            consumer.ack(mine)

    async def nack(self, tags: Sequence[int], *, requeue: bool) -> None:
        for consumer, mine in self._whose(tags):
            if requeue:
                try:
                    await consumer.give_back(mine)
                except Lost:
                    continue  # then they have gone back by themselves
            else:
                held = [each for tag in mine if (each := consumer.held(tag))]
                await self._bury(held, consumer.line)
                consumer.ack(mine)

    async def prune(self, keep: Keep, limit: int) -> int:
        return 0  # it remembers nothing

    async def depths(self, queues: Sequence[str] | None = None) -> dict[str, int]:
        names = sorted(self._used) if queues is None else queues
        lines = {line_of(queue, kind): queue for queue in names for kind in KINDS}
        declared = await self._publisher.declared()
        try:
            counted = await declared.depths(list(lines)) if lines else {}
        except Lost as lost:
            raise unavailable(lost) from None
        found = Counter[str]()
        for line, count in counted.items():
            found[lines[line]] += count + self._ahead(line)
        return {queue: count for queue, count in found.items() if count or queues is not None}

    async def wait(self, queues: Sequence[str], timeout: float) -> list[str]:
        if found := self._news(queues):
            return found
        event = asyncio.Event()
        self._listening[event] = queues
        try:
            for queue in queues:
                await self._listen(queue)
            async with asyncio.timeout(timeout):
                while not (found := self._news(queues)):
                    await event.wait()
                    event.clear()
        except TimeoutError:
            pass
        finally:
            del self._listening[event]
        return found

    # -- inside ---------------------------------------------------------------------------

    def _ahead(self, line: str) -> int:
        consumer = self._consumers.get(line)
        return consumer.ahead if consumer else 0

    async def _look(self, lines: Sequence[str]) -> None:
        """See that nothing is on its way: what was confirmed before this is here then."""
        there = [each for line in lines if (each := self._consumers.get(line))]
        # One that is lost meanwhile is found to be so by who asks next.
        await asyncio.gather(*(each.look() for each in there), return_exceptions=True)

    async def _consumer(self, queue: str, line: str, n: int) -> Consumer:
        """Return what consumes from a line of a queue, at least `n` messages at once."""
        async with self._starting:
            for last in (*[False] * (_TRIES - 1), True):
                consumer = self._consumers.get(line)
                if consumer is None or consumer.ended:
                    consumer = self._add(queue, line)
                try:
                    await self._run(consumer, n)
                except Lost as lost:
                    self._remove(consumer)
                    if last:
                        raise unavailable(lost) from None
                else:
                    return consumer
        raise AssertionError("the last try returns or raises")

    async def _run(self, consumer: Consumer, n: int) -> None:
        if not consumer.running:
            # Where it is published to as well: what is missing is made there.
            await (await self._publisher.declared()).declare({consumer.line})
        await consumer.run(await self._taking.wire(), n)

    def _add(self, queue: str, line: str) -> Consumer:
        def arrived() -> None:
            self._arrived[queue] += 1
            for event, names in self._listening.items():
                if queue in names:
                    event.set()

        consumer = self._consumers[line] = Consumer(line, arrived, self._held_for)
        number = next(self._numbers)
        self._numbered[number], self._number_of[consumer] = consumer, number
        if self._tending is None:
            self._tending = asyncio.create_task(self._tend())
        return consumer

    def _remove(self, consumer: Consumer) -> None:
        self._numbered.pop(self._number_of.pop(consumer, 0), None)
        if self._consumers.get(consumer.line) is consumer:
            del self._consumers[consumer.line]

    def _whose(self, tags: Sequence[int]) -> list[tuple[Consumer, list[int]]]:
        mine: dict[int, list[int]] = {}
        for tag in tags:
            mine.setdefault(tag >> _ROOM, []).append(tag & ((1 << _ROOM) - 1))
        return [
            (self._numbered[number], each)
            for number, each in mine.items()
            if number in self._numbered
        ]

    async def _bury(self, letters: Sequence[Delivered], line: str) -> None:
        if letters:
            await self._publisher.publish([dead(each, line) for each in letters])

    async def _listen(self, queue: str) -> None:
        """Have messages of a queue arrive, of whatever kind if nobody has said of which."""
        lines = {kind: line_of(queue, kind) for kind in KINDS}
        asked = [kind for kind, line in lines.items() if line in self._consumers]
        for kind in asked or KINDS:
            await self._consumer(queue, lines[kind], 1)

    def _news(self, queues: Sequence[str]) -> list[str]:
        found = [queue for queue in queues if self._seen.get(queue) != self._arrived[queue]]
        self._seen.update((queue, self._arrived[queue]) for queue in found)
        return found

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(_TENDED)
            awaited = {
                line_of(q, kind) for qs in self._listening.values() for q in qs for kind in KINDS
            }
            for consumer in list(self._numbered.values()):
                await self._tend_to(consumer, wanted=consumer.line in awaited)

    async def _tend_to(self, consumer: Consumer, *, wanted: bool) -> None:
        try:
            await consumer.tend(wanted=wanted)
            if consumer.stale and self._consumers.get(consumer.line) is consumer:
                await consumer.give_back([])
                del self._consumers[consumer.line]
                consumer.arrived()  # who waits begins with a new one
            if consumer.idle and self._consumers.get(consumer.line) is not consumer:
                await consumer.close()
        except Lost:
            consumer.ended = True
        if consumer.ended:
            self._remove(consumer)


def _unroutable(messages: Sequence[Message]) -> Unroutable:
    exchanges = ", ".join(sorted({repr(each.exchange) for each in messages}))
    return Unroutable(
        f"no queue wants {len(messages)} of what was published to {exchanges}",
        hint="ropeway route shows the bindings; mandatory=False drops what nobody wants",
    )
