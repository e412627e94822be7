"""A broker that cannot take part in a transaction, in this process: half of a pair, for tests."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from msgspec import Struct

from ropeway.broker_half import Arrival
from ropeway.capabilities import Capabilities
from ropeway.decide import Keep
from ropeway.errors import BackendUnavailable
from ropeway.message import KINDS, Kind, Message


class _Resting(Struct):
    """A message in its place; one that was given back has kept it."""

    place: int
    redelivered: bool
    message: Message

    def __lt__(self, other: _Resting) -> bool:
        return self.place < other.place


class FakeBroker:
    """What all connections see: queues, and the letters that were given up as dead."""

    def __init__(self) -> None:
        self.dead: list[Message] = []
        self.unacked = 0
        self.arrived: Counter[str] = Counter()
        self.listening: set[asyncio.Event] = set()
        self._lines = defaultdict[tuple[str, Kind], list[_Resting]](list)
        self._places = itertools.count()

    def connect(self) -> FakeHalf:
        """Return a new connection."""
        return FakeHalf(self)

    @property
    def empty(self) -> bool:
        """Whether no message is left, neither at rest nor with a connection."""
        return not self.unacked and not self.depths(None)

    def depths(self, queues: Sequence[str] | None) -> dict[str, int]:
        """Count what rests."""
        found = Counter[str]()
        for (queue, _), line in self._lines.items():
            if line and (queues is None or queue in queues):
                found[queue] += len(line)
        return dict(found)

    def add(self, message: Message) -> None:
        """Put a new message at the end of its queue."""
        self.rest(_Resting(next(self._places), False, message))

    def rest(self, resting: _Resting) -> None:
        """Put a message in its place."""
        queue = resting.message.queue
        heapq.heappush(self._lines[queue, resting.message.kind], resting)
        self.tell(queue)

    def tell(self, queue: str) -> None:
        """Wake those who wait for a queue."""
        self.arrived[queue] += 1
        for event in self.listening:
            event.set()

    def take(self, queue: str, kinds: Collection[Kind]) -> _Resting | None:
        """Remove the first message of a queue that has one of the kinds."""
        lines = [line for kind in kinds if (line := self._lines.get((queue, kind)))]
        return heapq.heappop(min(lines)) if lines else None


class FakeHalf:
    """One connection: what it holds and does not acknowledge comes back, marked, when it ends."""

    capabilities = Capabilities(store=False, atomic=False, durable=False, shared=False)

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker
        self._held: dict[int, _Resting] = {}
        self._seen: dict[str, int] = {}
        self._tags = itertools.count(1)
        self._closed = False

    async def open(self) -> None:
        """Connected from the beginning."""

    async def close(self) -> None:
        self.drop()

    def drop(self) -> None:
        """End the connection, as the death of its process does."""
        self._closed = True
        self._give_back(list(self._held))

    async def publish(self, messages: Sequence[Message]) -> None:
        self._check()
        for message in messages:
            self._broker.add(message)

    async def get(
        self, queue: str, n: int, kinds: Collection[Kind] = KINDS, *, look: bool = True
    ) -> list[Arrival]:
        self._check()
        found: list[Arrival] = []
        while len(found) < n and (resting := self._broker.take(queue, kinds)):
            tag = next(self._tags)
            self._held[tag] = resting
            self._broker.unacked += 1
            arrival = Arrival(message=resting.message, tag=tag, redelivered=resting.redelivered)
            found.append(arrival)
        return found

    async def ack(self, tags: Sequence[int]) -> None:
        self._check()
        for tag in tags:
            self._let_go(tag)

    async def nack(self, tags: Sequence[int], *, requeue: bool) -> None:
        self._check()
        if requeue:
            self._give_back(tags)
        else:
            self._broker.dead += [self._let_go(tag).message for tag in tags]

    async def prune(self, keep: Keep, limit: int) -> int:
        return 0  # it remembers nothing

    async def depths(self, queues: Sequence[str] | None = None) -> dict[str, int]:
        self._check()
        return self._broker.depths(queues)

    async def wait(self, queues: Sequence[str], timeout: float) -> list[str]:
        event, found = asyncio.Event(), self._news(queues)
        self._broker.listening.add(event)
        try:
            async with asyncio.timeout(timeout):
                while not found:
                    await event.wait()
                    event.clear()
                    found = self._news(queues)
        except TimeoutError:
            pass
        finally:
            self._broker.listening.discard(event)
        return found

    def _news(self, queues: Sequence[str]) -> list[str]:
        arrived = self._broker.arrived
        found = [queue for queue in queues if self._seen.get(queue) != arrived[queue]]
        self._seen.update((queue, arrived[queue]) for queue in found)
        return found

    def _check(self) -> None:
        if self._closed:
            raise BackendUnavailable("the connection has ended")

    def _let_go(self, tag: int) -> _Resting:
        if tag not in self._held:
            raise ValueError(f"tag {tag} was settled before, which a real broker punishes")
        self._broker.unacked -= 1
        return self._held.pop(tag)

    def _give_back(self, tags: Sequence[int]) -> None:
        for resting in [self._let_go(tag) for tag in tags]:
            self._broker.rest(_Resting(resting.place, True, resting.message))
