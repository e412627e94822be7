"""A pair whose broker has exchanges and bindings of its own, and cannot tell its queues."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Protocol

from ropeway.broker import QueueStats
from ropeway.broker_half import CORRELATION, REPLY_TO, BrokerHalf, Reply
from ropeway.claims import Claim
from ropeway.errors import BackendUnavailable, Backpressure, Indeterminate, Refused, Unroutable
from ropeway.message import Delivery, Fence, Message
from ropeway.store import Backend
from ropeway.topology import Topology
from ropeway.transition import Answer, Finish, Put, Reject, Transition
from ropeway.wrappers.paired import Paired

_NAMES = "queue-name/"
"""Records of the queues that were published to, for who asks for all."""

_PAGE = 1000


class RoutingHalf(BrokerHalf, Protocol):
    """A broker that routes what names an exchange itself; `publish` may raise `Unroutable`.

    What came by an exchange has an id of its own in each queue but that which the message names.
    """

    async def shape(self, before: Topology, now: Topology) -> None:
        """Make exchanges and bindings that are declared now, and remove those of before.

        Raises `TopologyConflict` for one that is there with other properties.
        """
        ...

    async def reply(self, replies: Sequence[Reply]) -> None:
        """Tell how jobs ended; who has gone is not told."""
        ...


class NativePair(Paired):
    """Notes in the store which queues are used; what names an exchange is left to the broker."""

    def __init__(self, broker: RoutingHalf, store: Backend, *, looped: bool = False) -> None:
        super().__init__(broker, store, looped=looped)
        self._routing = broker
        self._noted: set[str] = set()
        self._asked: dict[Fence, Message] = {}

    async def shape(self, before: Topology, now: Topology) -> None:
        """See `RoutingHalf.shape`."""
        await self._routing.shape(before, now)
        await self._note({each.to for each in now.bindings if not each.to_exchange})

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        found = await super().receive(claims, holder, lease, wait)
        self._asked |= {
            each.fence: each.message for each in found if REPLY_TO in each.message.headers
        }
        return found

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        answers = await super().commit(transitions)
        if self._asked:
            await self._reply(transitions, answers)
        return answers

    async def _reply(self, transitions: Sequence[Transition], answers: Sequence[Answer]) -> None:
        """Tell who waits for the end of a job; one that does not come is asked for again by them."""
        replies = []
        for each, answer in zip(transitions, answers, strict=True):
            if each.fence is None or (each.settle is None and answer.ok):
                continue
            message = self._asked.pop(each.fence, None)
            if message and answer.ok and isinstance(each.settle, Finish | Reject):
                replies.append(_reply_to(message, each.settle))
        if replies:
            await self._tell(replies)

    async def _tell(self, replies: Sequence[Reply]) -> None:
        with suppress(BackendUnavailable, Backpressure, Indeterminate, Refused):
            await self._routing.reply(replies)

    async def stats(self, queues: Sequence[str] | None = None, cap: int = 0) -> list[QueueStats]:
        if queues is None:
            resting = await self.broker.depths(await self._names())
            stored = await self.inner.stats(None, 0)
            used = {queue for queue, count in resting.items() if count}
            queues = sorted(used.union(each.queue for each in stored))
        return await super().stats(queues, cap)

    async def _pay(self, messages: Sequence[Message], keys: Sequence[str]) -> None:
        await self._note({each.queue for each in messages})
        if not keys:
            await super()._pay(messages, keys)
            return
        # What a settled job has sent cannot be refused any more: nobody wants it.
        with suppress(Unroutable):
            await super()._pay(messages, ())
        await super()._pay((), keys)

    async def _note(self, queues: Collection[str]) -> None:
        if new := set(queues) - self._noted:
            await self.inner.commit(
                [Transition(put=tuple(Put(_NAMES + each, b"") for each in new))]
            )
            self._noted |= new

    async def _names(self) -> list[str]:
        found, after = list[str](), ""
        while page := await self.inner.scan(_NAMES, after, _PAGE):
            found += [each.key.removeprefix(_NAMES) for each in page]
            after = page[-1].key
        return found


def _reply_to(message: Message, settle: Finish | Reject) -> Reply:
    error = settle.failure() if isinstance(settle, Reject) else settle.error
    return Reply(
        to=message.headers[REPLY_TO],
        correlation=message.headers.get(CORRELATION, ""),
        job_id=message.id,
        task=message.task,
        value=settle.value if isinstance(settle, Finish) else None,
        error=error,
    )
