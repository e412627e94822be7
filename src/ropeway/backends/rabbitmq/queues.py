"""Queues on the server, made when they are first used."""

from __future__ import annotations

from collections.abc import Sequence

from pamqp import commands
from pamqp.base import Frame

from ropeway.backends.rabbitmq.wire import Channel, Lost, Shut, Wire
from ropeway.errors import BackendUnavailable, Refused


class Declare(commands.Queue.Declare):
    """Declares a queue of any name: pamqp takes only some."""

    def validate(self) -> None:
        """The server says what it does not take."""


class Consume(commands.Basic.Consume):
    """Consumes from a queue of any name."""

    def validate(self) -> None:
        """The server says what it does not take."""


_EXISTS_OTHERWISE, _MISSING = 406, 404


class Declared:
    """The queues that are known to be there, on one connection."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._known: set[str] = set()
        self._channel: Channel | None = None

    async def declare(self, names: set[str]) -> None:
        """Make the queues that are not there: durable, and kept by a majority of the servers.

        One that somebody else has made with other properties is used as it is.
        """
        for name in sorted(names - self._known):
            try:
                await self.ask(_quorum(name, self.wire.version))
            except Shut as shut:
                if shut.code != _EXISTS_OTHERWISE:
                    raise refusal(f"the queue {name!r}", shut) from None
                await self.ask(Declare(0, name, passive=True))
            self._known.add(name)

    async def depths(self, names: Sequence[str]) -> dict[str, int]:
        """Count what is ready in queues; one that is not there has nothing. Raises `Lost`."""
        try:
            answers = await self.ask_all(*(Declare(0, name, passive=True) for name in names))
        except Shut:
            return {name: await self._depth(name) for name in names}
        return {name: _count(answer) for name, answer in zip(names, answers, strict=True)}

    async def _depth(self, name: str) -> int:
        """Count what is ready in a queue; one that is not there has nothing."""
        try:
            found = await self.ask(Declare(0, name, passive=True))
        except Shut as shut:
            if shut.code == _MISSING:
                return 0
            raise refusal(f"the queue {name!r}", shut) from None
        return _count(found)

    async def ask(self, *frames: Frame) -> Frame:
        """Have the server do something, and return the answer to the last; raises `Lost`."""
        # On a channel of its own: what is refused closes it.
        return (await self.ask_all(*frames))[-1]

    async def ask_all(self, *frames: Frame) -> list[Frame]:
        """The same, and return all answers."""
        if self._channel is None or self._channel.ended is not None:
            self._channel = await self.wire.channel(lambda event: None)
        return await self._channel.ask_all(*frames)


def _count(answer: Frame) -> int:
    assert isinstance(answer, commands.Queue.DeclareOk)
    return answer.message_count or 0


def _quorum(name: str, version: tuple[int, ...]) -> Declare:
    arguments: dict[str, str | int] = {"x-queue-type": "quorum"}
    if version >= (4, 0):
        arguments["x-delivery-limit"] = -1  # the store counts, and knows what to do then
    return Declare(0, name, durable=True, arguments=arguments)  # type: ignore[arg-type]  # its table is invariant


def refusal(what: str, shut: Shut) -> Exception:
    """Return what to raise when the server has refused something for good."""
    return Refused(f"RabbitMQ refuses {what}: {shut}", hint="see the server's log")


def unavailable(lost: Lost) -> BackendUnavailable:
    """Return what to raise when a connection was lost before anything was asked for."""
    fact = f"the connection to RabbitMQ was lost: {lost}"
    return BackendUnavailable(fact, hint="is it running?", away=True)
