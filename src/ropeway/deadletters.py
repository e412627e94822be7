"""What becomes of a message that its queue did not keep: the same message, on its way elsewhere.

The headers are those of RabbitMQ: `x-death` lists where and why it died, the newest first, and here
as JSON, for a header is text. `x-first-death-*` and `x-last-death-*` name one of these each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from ropeway.bounds import Queue
from ropeway.ids import derived_id
from ropeway.message import JobRecord, Message
from ropeway.reference import reference_of
from ropeway.states import State
from ropeway.transition import Finish, Reject, Settle

Reason = Literal["expired", "maxlen", "rejected", "delivery_limit"]
DEATHS = "x-death"

Death = dict[str, Any]
_decode = msgspec.json.Decoder(list[Death]).decode


def reason_of(settle: Settle | None) -> Reason | None:
    """Say why what is settled so is dead; None if it is not."""
    match settle:
        case Finish(state=State.EXPIRED):
            return "expired"
        case Finish(state=State.FAILED):
            return "rejected"
        case Reject(reason="worker_lost"):
            return "delivery_limit"
        case Reject():
            return "rejected"
    return None


def dead_letter(job: JobRecord, queue: Queue, reason: Reason, now: float) -> Message | None:
    """Return what goes to the queue's dead-letter exchange in the place of a job that died in it.

    It is the same in every try to send it, but for the time. None if the queue names no exchange,
    or if the body is kept apart: that belongs to the job.
    """
    message = job.message
    if queue.dead_letter_exchange is None or reference_of(message.body) is not None:
        return None
    came_with = message.routing_key if message.exchange else queue.name
    key = came_with if queue.dead_letter_key is None else queue.dead_letter_key
    life = f"dead/{queue.name}/{job.attempt}/{job.enqueued!r}"
    terms = message.terms and replace(message.terms, expires=None, unique=None, window=0.0)
    return replace(
        message,
        id=derived_id(message.id, life),
        headers=_headers(message, queue, reason, came_with, now),
        exchange=queue.dead_letter_exchange,
        routing_key=key,
        mandatory=False,
        terms=terms,
        due=None,
        delay=0.0,
        expires=None,
        signature=None,
    )


def goes_round(message: Message, queue: str) -> bool:
    """Whether a dead letter was in this queue before and nobody has rejected it since.

    It would go round for ever: it is dropped, as RabbitMQ does.
    """
    for death in deaths(message):
        if death.get("reason") == "rejected":
            return False
        if death.get("queue") == queue:
            return True
    return False


def deaths(message: Message) -> Sequence[Death]:
    """Return where a message died, the newest first; nothing if its header is somebody else's."""
    try:
        return _decode(message.headers.get(DEATHS, "[]"))
    except msgspec.DecodeError:
        return ()


def _headers(
    message: Message, queue: Queue, reason: Reason, key: str, now: float
) -> dict[str, str]:
    before = list(deaths(message))
    same = [
        each for each in before if (each.get("queue"), each.get("reason")) == (queue.name, reason)
    ]
    death: Death = {
        "queue": queue.name,
        "reason": reason,
        "count": 1 + max((int(each.get("count", 1)) for each in same), default=0),
        "time": int(now),
        "exchange": message.exchange,
        "routing-keys": [key],
    }
    listed = [death, *(each for each in before if each not in same)]
    last = {f"x-last-death-{name}": str(death[name]) for name in ("queue", "reason", "exchange")}
    first = {name.replace("last", "first"): value for name, value in last.items()}
    told = msgspec.json.encode(listed).decode()
    return {**first, **message.headers, **last, DEATHS: told}
