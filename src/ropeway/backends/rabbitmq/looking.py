"""What a server tells of itself over AMQP, and how it behaves: for the doctor."""

from __future__ import annotations

import time
from typing import Any

from msgspec import Struct
from pamqp import commands

from ropeway.backends.rabbitmq.address import Address
from ropeway.backends.rabbitmq.frames import Letter
from ropeway.backends.rabbitmq.publisher import Publisher
from ropeway.backends.rabbitmq.queues import Declared, unavailable
from ropeway.backends.rabbitmq.session import Session
from ropeway.backends.rabbitmq.wire import Lost
from ropeway.errors import RopewayError
from ropeway.ids import new_id

_TIMES = 20


class Look(Struct, kw_only=True):
    """What was seen: who answers, the seconds of answers and of confirms, and what went wrong.

    `alarm` is why the server takes no messages, `unkept` why a quorum queue could not be used.
    """

    told: dict[str, Any]
    trips: list[float]
    confirms: list[float] = []
    alarm: str = ""
    unkept: RopewayError | None = None


async def look(address: Address) -> Look:
    """Connect, ask, and publish to a quorum queue that is removed again.

    Raises `BackendUnavailable` for a server that cannot be reached, or is lost meanwhile.
    """
    session = Session(address)
    try:
        wire = await session.wire()
        found = Look(told=wire.told, trips=await _trips(Declared(wire)))
        queue = f"ropeway.doctor.{new_id()}"
        try:
            found.confirms = await _confirms(Publisher(session), queue)
        except RopewayError as error:
            found.unkept = error
        found.alarm = wire.blocked
        if wire.blocked or wire.closed:
            # A server with an alarm reads nothing more of who has published: another one asks.
            await session.close()
            wire = await session.wire()
        await Declared(wire).ask(commands.Queue.Delete(0, queue))
    except Lost as lost:
        raise unavailable(lost) from None
    finally:
        await session.close()
    return found


async def _trips(declared: Declared) -> list[float]:
    """Ask for an exchange that is always there."""
    taken = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        await declared.ask(commands.Exchange.Declare(0, "amq.direct", passive=True))
        taken.append(time.perf_counter() - began)
    return taken


async def _confirms(publisher: Publisher, queue: str) -> list[float]:
    """Publish, one message after the other."""
    taken = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        letter = Letter(key=queue, id=new_id(), type="", content_type="text/plain", body=b"")
        await publisher.publish([letter])
        taken.append(time.perf_counter() - began)
    return taken
