"""Messages that name an exchange get to the queues that its bindings name, on any backend."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ropeway.ids import derived_id
from ropeway.message import Message
from ropeway.routing import Router
from ropeway.store import Backend
from ropeway.topology import Topology, load, stamp
from ropeway.transition import Answer, Transition
from ropeway.wrappers.delegate import Delegate


class Routed(Delegate):
    """Shares out what is published to an exchange, all copies in the transition of the one.

    What was bound before a `commit` is asked for counts in it, whoever has bound it: before it
    routes it looks whether the topology is still the one it knows. The first copy keeps the id of
    the message, the others have ids made of that and the queue, so that a commit may be repeated.
    """

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self._known = Topology(-1, {}, [])
        self._router = Router((), ())

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        if not any(_to_route(each) for each in transitions):
            return await self.inner.commit(transitions)
        await self._look()
        spread = [self._spread(each) if _to_route(each) else each for each in transitions]
        whole = [each for each in spread if isinstance(each, Transition)]
        told = iter(await self.inner.commit(whole) if whole else ())
        return [each if isinstance(each, Answer) else next(told) for each in spread]

    async def _look(self) -> None:
        if await stamp(self.inner) != self._known.stamp:
            self._known = await load(self.inner)
            self._router = self._known.router()

    def _spread(self, transition: Transition) -> Transition | Answer:
        published: list[Message] = []
        for message in transition.publish:
            if message.mandatory is None:
                published.append(message)
                continue
            queues = self._queues(message)
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


def _to_route(transition: Transition) -> bool:
    return any(message.mandatory is not None for message in transition.publish)
