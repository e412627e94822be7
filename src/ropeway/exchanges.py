"""Exchanges of an app: what its code declares, and what is declared by whomever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from ropeway import topology
from ropeway.bounds import Queue, fault
from ropeway.errors import BadArguments
from ropeway.routing import Binding, Exchange, Value, Way
from ropeway.source import Stores
from ropeway.stepping import step

Match = Literal["all", "any", "all-with-x", "any-with-x"]
_TYPES = ("direct", "fanout", "topic", "headers")


class Inlet(Protocol):
    """What makes something else of the messages of a queue of its own, as a topic does of events."""

    @property
    def inlet(self) -> str:
        """The queue."""
        ...


class ExchangeHandle:
    """An exchange that the code declares; publish with `task.using(exchange=...)`.

    Nothing is stored when it is made or bound. A worker brings what the code declares into force
    when it starts, and so does whoever publishes, before the first time; or `Exchanges.declare`.
    """

    def __init__(self, owner: Exchanges, exchange: Exchange) -> None:
        self._owner = owner
        self.exchange = exchange

    def __repr__(self) -> str:
        return f"<exchange {self.name} of type {self.exchange.type}>"

    @property
    def name(self) -> str:
        """The name that publishers use."""
        return self.exchange.name

    def bind(
        self,
        to: str | QueueHandle | ExchangeHandle | Inlet,
        key: str = "",
        *,
        headers: Mapping[str, Value] | None = None,
        match: Match = "all",
    ) -> None:
        """Have a queue, another exchange, or a topic get what this one has for it.

        `key` is the routing key; of a topic exchange a pattern, with `*` for a word and `#` for any
        number of them. A headers exchange goes by `headers`, of which all or any have to match.
        """
        self._owner.bound(_binding(self.name, to, key, headers, match))

    def unbind(
        self,
        to: str | QueueHandle | ExchangeHandle | Inlet,
        key: str = "",
        *,
        headers: Mapping[str, Value] | None = None,
        match: Match = "all",
    ) -> None:
        """Remove a binding at once, for everybody; one that is not there is gone."""
        step(self.aunbind(to, key, headers=headers, match=match))

    async def aunbind(
        self,
        to: str | QueueHandle | ExchangeHandle | Inlet,
        key: str = "",
        *,
        headers: Mapping[str, Value] | None = None,
        match: Match = "all",
    ) -> None:
        """The same as `unbind`, for async code."""
        await self._owner.unbound(_binding(self.name, to, key, headers, match))


class QueueHandle:
    """A queue whose options the code declares; `name` is what tasks are sent to.

    Nothing is stored when it is made. A worker brings its options into force when it starts, and so
    does whoever sends to it, before the first time; or `Exchanges.declare`.
    """

    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    def __repr__(self) -> str:
        return f"<queue {self.name}>"

    @property
    def name(self) -> str:
        """The name that tasks are sent to."""
        return self.queue.name


class Exchanges:
    """What the code of an app declares, and what is in force: `app.exchanges`."""

    def __init__(self, app: Stores) -> None:
        self._app = app
        self._declared: dict[str, Exchange] = {}
        self._bindings: list[Binding] = []
        self._queues: dict[str, Queue] = {}
        self._in_force = True

    @property
    def declared(self) -> list[Exchange]:
        """The exchanges of the code."""
        return list(self._declared.values())

    @property
    def bindings(self) -> list[Binding]:
        """The bindings of the code."""
        return list(self._bindings)

    @property
    def queues(self) -> list[Queue]:
        """The queues of the code that have options."""
        return list(self._queues.values())

    def owes(self, queue: str) -> bool:
        """Whether the code declares options of a queue that it has not yet brought into force."""
        return not self._in_force and queue in self._queues

    def add_queue(self, queue: Queue) -> QueueHandle:
        """Note a queue of the code; raises `BadArguments` if it cannot be, or is two ways."""
        if (wrong := fault(queue)) is not None:
            raise BadArguments(f"queue {queue.name!r} cannot be declared: {wrong}")
        if self._queues.setdefault(queue.name, queue) != queue:
            raise BadArguments(f"queue {queue.name!r} is declared twice, and differently")
        self._in_force = False
        return QueueHandle(queue)

    def add(self, exchange: Exchange) -> ExchangeHandle:
        """Note an exchange of the code; raises `BadArguments` if it has two ways to be."""
        if exchange.type not in _TYPES or not exchange.name:
            raise BadArguments(
                f"exchange {exchange.name!r} of type {exchange.type!r} cannot be",
                hint="it needs a name, and is direct, fanout, topic or headers",
            )
        if self._declared.setdefault(exchange.name, exchange) != exchange:
            raise BadArguments(f"exchange {exchange.name!r} is declared twice, and differently")
        self._in_force = False
        return ExchangeHandle(self, exchange)

    def bound(self, binding: Binding) -> None:
        """Note a binding of the code."""
        if binding not in self._bindings:
            self._bindings.append(binding)
            self._in_force = False

    async def unbound(self, binding: Binding) -> None:
        """Remove a binding, from the code's own list as well."""
        self._bindings = [each for each in self._bindings if each != binding]
        await topology.delete(self._app.store, bindings=[binding])

    def declare(self) -> None:
        """Bring into force what the code declares; `TopologyConflict` if it is there otherwise."""
        step(self.adeclare())

    async def adeclare(self) -> None:
        """The same as `declare`, for async code."""
        if self._in_force:
            return
        wanted = self.declared, self.bindings, self.queues
        await topology.declare(self._app.store, *wanted)
        now = self.declared, self.bindings, self.queues
        self._in_force = wanted == now  # others may have added to it

    def ls(self) -> topology.Topology:
        """Return what is in force, by whomever it was declared."""
        return step(self.als())

    async def als(self) -> topology.Topology:
        """The same as `ls`, for async code."""
        return await topology.load(self._app.store)

    def remove(self, *names: str) -> None:
        """Remove exchanges, with all bindings from and to them."""
        step(self.aremove(*names))

    async def aremove(self, *names: str) -> None:
        """The same as `remove`, for async code."""
        await topology.delete(self._app.store, names)

    def route(
        self, exchange: str, key: str = "", headers: Mapping[str, Value] | None = None
    ) -> list[Way]:
        """Say to which queues a message would go, and by which bindings; nothing is sent.

        Raises `LookupError` if there is no such exchange.
        """
        return step(self.aroute(exchange, key, headers))

    async def aroute(
        self, exchange: str, key: str = "", headers: Mapping[str, Value] | None = None
    ) -> list[Way]:
        """The same as `route`, for async code."""
        return (await self.als()).router().ways(exchange, key, headers)


def _binding(
    source: str,
    to: str | QueueHandle | ExchangeHandle | Inlet,
    key: str,
    headers: Mapping[str, Value] | None,
    match: Match,
) -> Binding:
    arguments: dict[str, Value] = dict(headers or {})
    if headers is not None and match != "all":
        arguments["x-match"] = match
    if isinstance(to, QueueHandle | ExchangeHandle):
        name = to.name
    else:
        name = to if isinstance(to, str) else to.inlet
    return Binding(
        source=source,
        to=name,
        to_exchange=isinstance(to, ExchangeHandle),
        key=key,
        arguments=arguments,
    )
