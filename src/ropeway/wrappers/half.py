"""A whole backend as the half of a pair that only carries messages."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence

import msgspec
from msgspec.structs import replace

from ropeway.broker_half import Arrival
from ropeway.capabilities import Capabilities
from ropeway.claims import Claim
from ropeway.decide import Keep
from ropeway.errors import BackendUnavailable, Backpressure
from ropeway.ids import new_id
from ropeway.message import DEFAULT_BAND, KINDS, Delivery, Fence, Kind, Message
from ropeway.states import State
from ropeway.store import Backend, queue_name
from ropeway.transition import Finish, Reject, Release, Settle, Transition

WRAPPED = "application/x-ropeway-message"
"""The content type of a message that carries another one, whole."""

LEASE = 10.0
"""Seconds after which a message that was got and not acknowledged is handed over again.

Nobody renews it: the store has had the message since milliseconds after that, and who gets it again
only removes it. What a worker had got when it was killed, and not yet taken there, waits so long.
"""

_COUNTED = 100_000
_DONE = Finish(State.SUCCEEDED, keep=0.0)
_QUEUE = queue_name("")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


class Half:
    """Carries messages through a backend that may keep its records elsewhere, or lose them.

    Each travels inside another one with an id of its own: what its sender publishes twice arrives
    twice, as with any broker. A message is marked as redelivered only if whoever had it gave it
    back or closed its connection; of one whose lease ended nobody knows whether its holder lives.
    What is in the queues and was published there by an app that knows nothing of a pair arrives too.
    """

    def __init__(self, backend: Backend, lease: float = LEASE) -> None:
        self._backend, self._lease = backend, lease
        self._holder = "half-" + new_id()
        self._held: dict[int, Fence] = {}
        self._tags = itertools.count(1)

    @property
    def capabilities(self) -> Capabilities:
        return replace(self._backend.capabilities, store=False, atomic=False)

    async def open(self) -> None:
        await self._backend.open()

    async def close(self) -> None:
        held, self._held = list(self._held.values()), {}
        try:
            await self._settle(held, Release("releases"))
        except BackendUnavailable:
            pass  # their leases end by themselves
        finally:
            await self._backend.close()

    async def publish(self, messages: Sequence[Message]) -> None:
        letters = [Transition(publish=(wrapped(each),)) for each in messages]
        answers = await self._backend.commit(letters)
        if not all(answer.ok for answer in answers):  # ids are new: there is no other reason
            raise Backpressure("the broker has no room", hint="send again later")

    async def get(
        self, queue: str, n: int, kinds: Collection[Kind] = KINDS, *, look: bool = True
    ) -> list[Arrival]:
        if not (look and n and kinds):
            return []
        claim = Claim(queue, n, kinds=tuple(kinds))
        found = await self._backend.receive([claim], self._holder, self._lease)
        return [self._arrival(each) for each in found]

    async def ack(self, tags: Sequence[int]) -> None:
        await self._settle(self._taken(tags), _DONE)

    async def nack(self, tags: Sequence[int], *, requeue: bool) -> None:
        refused = Reject("refused", "the store refused it: its id is that of another message")
        await self._settle(self._taken(tags), Release("releases") if requeue else refused)

    async def prune(self, keep: Keep, limit: int) -> int:
        return await self._backend.prune(keep, limit)

    async def depths(self, queues: Sequence[str] | None = None) -> dict[str, int]:
        found = await self._backend.stats(queues, _COUNTED)
        return {each.queue: each.ready for each in found if each.ready or queues is not None}

    async def wait(self, queues: Sequence[str], timeout: float) -> list[str]:
        heard = await self._backend.wait([queue_name(each) for each in queues], timeout)
        return [name.removeprefix(_QUEUE) for name in heard]

    def _arrival(self, delivery: Delivery) -> Arrival:
        tag = next(self._tags)
        self._held[tag] = delivery.fence
        given_back = delivery.releases > 0 and delivery.releases == delivery.fence.attempt - 1
        return Arrival(message=_unwrapped(delivery.message), tag=tag, redelivered=given_back)

    def _taken(self, tags: Sequence[int]) -> list[Fence]:
        return [fence for tag in tags if (fence := self._held.pop(tag, None))]

    async def _settle(self, fences: Sequence[Fence], settle: Settle) -> None:
        # A refusal says that the lease had ended: then it is with somebody else, who sees to it.
        if fences:
            await self._backend.commit([Transition(fence=each, settle=settle) for each in fences])


def wrapped(message: Message, queue: str | None = None) -> Message:
    """Return a message with a new id that carries another one, in its queue or in `queue`."""
    return Message(
        id=new_id(),
        task=message.task,
        queue=queue or message.queue,
        band=DEFAULT_BAND,
        kind=message.kind,
        body=_encode(message),
        content_type=WRAPPED,
    )


def _unwrapped(message: Message) -> Message:
    return _decode(message.body) if message.content_type == WRAPPED else message
