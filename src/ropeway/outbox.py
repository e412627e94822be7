"""A place in a database where messages wait until a worker takes them to their broker.

What is sent in somebody's transaction has to be in the database of that transaction. Where the
broker is elsewhere it rests in an outbox there, and workers forward it: see `worker.forward`.
"""

from __future__ import annotations

from collections import defaultdict

from msgspec.structs import replace

from ropeway.broker import Broker
from ropeway.broker_half import Arrival, BrokerHalf
from ropeway.message import Message
from ropeway.transition import Transition
from ropeway.wrappers.half import wrapped

OUTBOX_QUEUE = "ropeway.outbox"
"""The queue of the outbox; nothing but forwarding claims from it."""


def resting(message: Message) -> Message:
    """Return what is published in the outbox for a message: another one, which carries it."""
    return wrapped(message, OUTBOX_QUEUE)


async def forward(outbox: BrokerHalf, broker: Broker, limit: int) -> int:
    """Take at most `limit` messages from the outbox to the broker; return how many arrived there.

    A message leaves the outbox when the broker has it. Whoever dies between the two leaves it to
    the next one, and the broker knows it again by its id. What the broker has no room for is tried
    again; what it refuses for good stays in the outbox, in quarantine.
    """
    arrivals = await outbox.get(OUTBOX_QUEUE, limit)
    if not arrivals:
        return 0
    try:
        answers = await broker.commit([Transition(publish=(_as_it_is(each),)) for each in arrivals])
    except BaseException:
        await outbox.nack([each.tag for each in arrivals], requeue=True)
        raise
    told = defaultdict[str | None, list[int]](list)
    for each, answer in zip(arrivals, answers, strict=True):
        told[answer.reason].append(each.tag)
    arrived = told.pop(None, [])
    await outbox.ack(arrived)
    for reason, tags in told.items():
        await outbox.nack(tags, requeue=reason == "full")
    return len(arrived)


def _as_it_is(arrival: Arrival) -> Message:
    """Return what arrived; without a signature it gets none on the way: who wrote it is not known."""
    message = arrival.message
    return replace(message, signature=b"") if message.signature is None else message
