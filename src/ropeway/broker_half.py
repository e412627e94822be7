"""The contract of a broker that cannot take part in a transaction: one half of a pair.

In the words of AMQP. What it promises is little: a message that was confirmed is handed over at
least once, and comes back while nobody has acknowledged it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from msgspec import Struct

from ropeway.capabilities import Capabilities
from ropeway.decide import Keep
from ropeway.message import KINDS, Failure, Kind, Message


class Arrival(Struct, frozen=True, gc=False, kw_only=True):
    """One message as a broker handed it over; it is this connection's until its `tag` is settled.

    `redelivered` says that a connection which has gone had it before. A message that its sender
    published twice arrives twice, and neither is redelivered.
    """

    message: Message
    tag: int
    redelivered: bool = False


REPLY_TO, CORRELATION = "amqp-reply-to", "amqp-correlation-id"
"""Headers of a message whose sender waits for its end: the queue, and a word to be repeated."""

INLET = "topic/"
"""How the names of queues begin whose messages become events of the topic that comes then."""

PUBLISHED_ID, EVENT_ID, OWN_ID = "amqp-message-id", "cloudEvents_id", "ropeway-id"
"""Headers: with which id a message came to an inlet; that of the event that a message tells of, which
is the message's for others; and the message's own then."""


class Reply(Struct, frozen=True, kw_only=True):
    """How a job ended, for who asked for that when it was sent."""

    to: str
    correlation: str
    job_id: str
    task: str = ""
    value: bytes | None = None
    error: Failure | None = None


class BrokerHalf(Protocol):
    """One connection to a broker. Messages that nobody has acknowledged when it ends come back.

    A verb may raise `BackendUnavailable`, and `publish` also `Indeterminate` or `Backpressure`.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this broker can do; of interest are `durable` and `shared`."""
        ...

    async def open(self) -> None:
        """Connect. May be called again."""
        ...

    async def close(self) -> None:
        """Give up the connection, and with it what is not acknowledged. May be called again."""
        ...

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when the broker has confirmed that each message rests in its queue for good."""
        ...

    async def get(
        self, queue: str, n: int, kinds: Collection[Kind] = KINDS, *, look: bool = True
    ) -> list[Arrival]:
        """Take at most `n` messages of a queue that have one of these kinds, without waiting.

        Oldest first, at least among those of one kind. Other kinds stay, and cost nothing. Without
        `look` the broker is not asked: only what it has sent ahead is taken.
        """
        ...

    async def ack(self, tags: Sequence[int]) -> None:
        """Remove messages that arrived; the tags of an earlier connection are passed over.

        Each tag is settled once, by this verb or by `nack`.
        """
        ...

    async def nack(self, tags: Sequence[int], *, requeue: bool) -> None:
        """Give messages back, or else to where dead letters are kept.

        To their old places, where the broker knows these: RabbitMQ puts them behind what waits.
        """
        ...

    async def prune(self, keep: Keep, limit: int) -> int:
        """Remove what is remembered of messages that are gone; returns of how many."""
        ...

    async def depths(self, queues: Sequence[str] | None = None) -> dict[str, int]:
        """Count what rests in each queue and is with nobody; None names all that hold some."""
        ...

    async def wait(self, queues: Sequence[str], timeout: float) -> list[str]:
        """Return the queues that may have got a message, as `Store.wait` does for names."""
        ...
