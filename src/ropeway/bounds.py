"""What a queue may be told: how many may wait in it, for how long, and what becomes of the others."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ropeway.decide import NO_TERMS
from ropeway.ids import made_at
from ropeway.message import Message

Overflow = Literal["reject", "block", "drop_oldest"]
OVERFLOWS: tuple[Overflow, ...] = ("reject", "block", "drop_oldest")


class Queue(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The options of a queue; one without any needs no declaration.

    At most `max_length` messages wait in it, due or not. For one more a publisher is refused, or
    waits ("block"), or the one that has waited longest goes ("drop_oldest"). What has not been
    started `message_ttl` seconds after it was due expires. What expires, is dropped, fails for good
    or is quarantined goes to `dead_letter_exchange` as well, with `dead_letter_key` or the routing
    key that it came with. One that is `auto_delete` goes, with its bindings and what waits in it,
    when the last worker that took from it has gone; so does one that is `exclusive`, from which
    only the first worker takes that comes to it.
    """

    name: str
    max_length: int | None = None
    overflow: Overflow = "reject"
    message_ttl: float | None = None
    dead_letter_exchange: str | None = None
    dead_letter_key: str | None = None
    durable: bool = True
    auto_delete: bool = False
    exclusive: bool = False

    @property
    def tied(self) -> bool:
        """Whether it goes when nobody takes from it any more."""
        return self.auto_delete or self.exclusive


def fault(queue: Queue) -> str | None:
    """Say why a queue cannot be so, if it cannot."""
    if not queue.name:
        return "a queue needs a name"
    if queue.max_length is not None and queue.max_length < 1:
        return f"max_length={queue.max_length} leaves no room: 1 is the least"
    if queue.overflow not in OVERFLOWS:
        return f"overflow={queue.overflow!r} is not one of {', '.join(OVERFLOWS)}"
    if queue.overflow != "reject" and queue.max_length is None:
        return f"overflow={queue.overflow!r} is for a queue with max_length"
    if queue.message_ttl is not None and queue.message_ttl <= 0:
        return f"message_ttl={queue.message_ttl} leaves no time: it has to be more than 0"
    if queue.dead_letter_key is not None and queue.dead_letter_exchange is None:
        return "dead_letter_key is for a queue with dead_letter_exchange"
    return None


def with_ttl(message: Message, queue: Queue) -> Message:
    """Return a message as it is to wait in a queue: it ends when its own time or the queue's does."""
    ttl = queue.message_ttl
    if ttl is None:
        return message
    if message.expires is not None:
        # Reckoned from its id, like the date from its sender's clock: the same whenever it is sent.
        until = message.first_due(made_at(message.id) or message.expires) + ttl
        return replace(message, expires=min(message.expires, until))
    terms = message.terms or NO_TERMS
    least = ttl if terms.expires is None else min(terms.expires, ttl)
    return replace(message, terms=replace(terms, expires=least))
