"""Messages that name an exchange get to the queues that its bindings name, on any backend."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ropeway.ids import derived_id
from ropeway.message import Message
from ropeway.routing import Router
from ropeway.store import Backend
from ropeway.topology import STAMP, Topology, load, stamp
from ropeway.transition import Answer, Transition
from ropeway.wrappers.delegate import Delegate
from ropeway.wrappers.halves import travels
from ropeway.wrappers.native import NativePair


class Routed(Delegate):
    """Shares out what is published to an exchange, all copies in the transition of the one.

    What was bound before a `commit` is asked for counts in it, whoever has bound it: before it
    routes it looks whether the topology is still the one it knows. The first copy keeps the id of
    the message, the others have ids made of that and the queue, so that a commit may be repeated.

    A broker that has exchanges of its own, which is `native`, is told what is declared, and routes
    what travels through it; what rests in the store from the beginning is routed here.
    """

    def __init__(self, inner: Backend, native: NativePair | None = None) -> None:
        super().__init__(inner)
        self._native = native
        self._known = Topology(-1, {}, [])
        self._router = Router((), ())

    async def open(self) -> None:
        await self.inner.open()
        if self._native is not None:
            await self._look()

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        if self._native is not None and any(map(_shapes, transitions)):
            await self._look()  # so that it is known what is not there any more
            answers = await self.inner.commit(transitions)
            await self._look()
            return answers
        if not any(_to_route(each) for each in transitions):
            return await self.inner.commit(transitions)
        await self._look()
        spread = [self._spread(each) if _to_route(each) else each for each in transitions]
        whole = [each for each in spread if isinstance(each, Transition)]
        told = iter(await self.inner.commit(whole) if whole else ())
        return [each if isinstance(each, Answer) else next(told) for each in spread]

    async def _look(self) -> None:
        if await stamp(self.inner) != self._known.stamp:
            known = await load(self.inner)
            if self._native is not None:
                await self._native.shape(self._known, known)
            self._known, self._router = known, known.router()

    def _spread(self, transition: Transition) -> Transition | Answer:
        published: list[Message] = []
        native = self._native is not None and travels(transition)
        for message in transition.publish:
            if message.mandatory is None:
                published.append(message)
                continue
            queues = self._queues(message)
            if native and message.exchange and queues is not None and not self._bounded(queues):
                # Others may have bound more queues there; the one that keeps the id is told.
                published.append(replace(message, queue=queues[0] if queues else message.queue))
                continue
            if queues is None or (message.mandatory and not queues):
                return Answer(status="refused", reason="unroutable", key=message.exchange)
            published += copies(message, queues)
        return replace(transition, publish=tuple(published))

    def _queues(self, message: Message) -> tuple[str, ...] | None:
        """Return where a message goes; None if nobody may publish to its exchange."""
        exchange = self._known.exchanges.get(message.exchange)
        if message.exchange and (exchange is None or exchange.internal):
            return None
        return self._router.route(message.exchange, message.routing_key, message.headers)

    def _bounded(self, queues: Sequence[str]) -> bool:
        """Whether room is counted in one of the queues: what asks for that rests in the store."""
        return any(queue in self._known.queues for queue in queues)


def copies(message: Message, queues: Sequence[str]) -> list[Message]:
    """Return what rests in each of the queues: the first has the id of the message itself."""
    return [
        replace(
            message,
            id=derived_id(message.id, queue) if number else message.id,
            queue=queue,
            mandatory=None,
        )
        for number, queue in enumerate(queues)
    ]


def _shapes(transition: Transition) -> bool:
    return any(put.key == STAMP for put in transition.put)


def _to_route(transition: Transition) -> bool:
    return any(message.mandatory is not None for message in transition.publish)
