"""The records of exchanges and bindings: what is declared, by whomever, and in which version.

Each exchange and each binding has a record of its own. One more record, the stamp, grows with every
change, so that whoever has read all of them knows by one look whether that still holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from ropeway.bounds import Queue, fault
from ropeway.errors import Refused, TopologyConflict
from ropeway.routing import DEFAULT_EXCHANGE, Binding, Exchange, Router
from ropeway.store import Store
from ropeway.transition import Drop, Put, Transition

STAMP = "topology"
_EXCHANGES, _BINDINGS = "topology/exchange/", "topology/binding/"
_QUEUES = "topology/queue/"
_PAGE = 1000
_TRIES = 50

Named = TypeVar("Named", Exchange, Queue)

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode_exchange = msgspec.msgpack.Decoder(Exchange).decode
_decode_binding = msgspec.msgpack.Decoder(Binding).decode
_decode_queue = msgspec.msgpack.Decoder(Queue).decode


class Topology(Struct, frozen=True):
    """What is declared; `stamp` is the version of the stamp that it was read with."""

    stamp: int
    exchanges: dict[str, Exchange]
    bindings: list[Binding]
    queues: dict[str, Queue] = {}

    def router(self) -> Router:
        """Return a router that goes by this."""
        return Router(self.exchanges.values(), self.bindings)


class Change(Struct, frozen=True):
    """What to add, and what to remove; exchanges and queues take their bindings along."""

    exchanges: tuple[Exchange, ...] = ()
    bindings: tuple[Binding, ...] = ()
    queues: tuple[Queue, ...] = ()
    no_exchanges: tuple[str, ...] = ()
    no_bindings: tuple[Binding, ...] = ()
    no_queues: tuple[str, ...] = ()


async def stamp(store: Store) -> int:
    """Return the version of the stamp; 0 if nothing was ever declared."""
    (record,) = await store.get([STAMP])
    return record.version if record else 0


async def load(store: Store) -> Topology:
    """Read what is declared, as it was at one moment."""
    while True:
        before = await stamp(store)
        if not before:
            return Topology(0, {}, [])
        exchanges = [_decode_exchange(value) for value in await _values(store, _EXCHANGES)]
        bindings = [_decode_binding(value) for value in await _values(store, _BINDINGS)]
        queues = [_decode_queue(value) for value in await _values(store, _QUEUES)]
        if await stamp(store) == before:
            return Topology(before, _named(exchanges), bindings, _named(queues))


async def declare(
    store: Store,
    exchanges: Iterable[Exchange] = (),
    bindings: Iterable[Binding] = (),
    queues: Iterable[Queue] = (),
) -> None:
    """Make exchanges and bindings, and bring options of queues into force.

    What is there already stays as it is. Raises `TopologyConflict` if an exchange or a queue is
    there with other properties, and `Refused` if a binding begins or ends at an exchange that is
    not there, or something cannot be as it is wanted. Then nothing has changed.
    """
    change = Change(tuple(exchanges), tuple(bindings), tuple(queues))
    for each in change.exchanges:
        _refuse_unusable(each)
    for queue in change.queues:
        if (wrong := fault(queue)) is not None:
            raise Refused(f"queue {queue.name!r} cannot be declared: {wrong}")
    await _change(store, lambda now: _declared(now, change))


async def delete(
    store: Store,
    exchanges: Iterable[str] = (),
    bindings: Iterable[Binding] = (),
    queues: Iterable[str] = (),
) -> None:
    """Remove exchanges and the options of queues, with all bindings from and to them, and bindings.

    What is absent is gone. An exchange that is `auto_delete` goes with the last binding from it.
    """
    change = Change(
        no_exchanges=tuple(exchanges), no_bindings=tuple(bindings), no_queues=tuple(queues)
    )
    await _change(store, lambda now: _deleted(now, change))


async def _change(store: Store, decide: Callable[[Topology], Change]) -> None:
    for _ in range(_TRIES):
        now = await load(store)
        change = decide(now)
        puts = [Put(_exchange_key(each.name), _encode(each)) for each in change.exchanges]
        puts += [Put(_binding_key(each), _encode(each)) for each in change.bindings]
        puts += [Put(_QUEUES + each.name, _encode(each)) for each in change.queues]
        drops = [Drop(_exchange_key(name)) for name in change.no_exchanges]
        drops += [Drop(_binding_key(each)) for each in change.no_bindings]
        drops += [Drop(_QUEUES + name) for name in change.no_queues]
        if not puts and not drops:
            return
        transition = Transition(
            expect={STAMP: now.stamp}, put=(Put(STAMP, b""), *puts), drop=tuple(drops)
        )
        (answer,) = await store.commit([transition])
        if answer.ok:
            return
    raise Refused(
        "exchanges, bindings and queues are changed all the time by others", hint="try again"
    )


def _declared(now: Topology, change: Change) -> Change:
    """Return what of it is new."""
    known = dict(now.exchanges)
    for each in change.exchanges:
        if known.setdefault(each.name, each) != each:
            raise _conflict("exchange", known[each.name], each, "ropeway exchanges rm")
    queues = dict(now.queues)
    for queue in change.queues:
        if queues.setdefault(queue.name, queue) != queue:
            raise _conflict("queue", queues[queue.name], queue, "ropeway queues delete")
    for binding in change.bindings:
        ends = [binding.source, *([binding.to] if binding.to_exchange else [])]
        for name in ends:
            if name not in known:
                raise Refused(f"there is no exchange {name!r} to bind", hint="declare it first")
    there = {_binding_key(each) for each in now.bindings}
    fresh = {_binding_key(each): each for each in change.bindings}
    return Change(
        exchanges=tuple(each for name, each in known.items() if name not in now.exchanges),
        bindings=tuple(each for key, each in fresh.items() if key not in there),
        queues=tuple(each for name, each in queues.items() if name not in now.queues),
    )


def _conflict(
    what: str, there: Exchange | Queue, wanted: Exchange | Queue, remedy: str
) -> TopologyConflict:
    return TopologyConflict(
        f"{what} {wanted.name!r} is there as {_words(there)}, and is wanted as {_words(wanted)}",
        hint=f"declare it as it is, or delete it first: {remedy} {wanted.name}",
    )


def _deleted(now: Topology, change: Change) -> Change:
    """Return what of it is there, and what goes with it."""
    gone = {name for name in change.no_exchanges if name in now.exchanges}
    no_queues = set(change.no_queues)
    asked = {_binding_key(each) for each in change.no_bindings}
    loose = {_binding_key(each): each for each in now.bindings if _binding_key(each) in asked}
    while True:
        for each in now.bindings:
            if each.source in gone or each.to in (gone if each.to_exchange else no_queues):
                loose[_binding_key(each)] = each
        left = {each.source for each in now.bindings if _binding_key(each) not in loose}
        deserted = {
            each.source
            for each in loose.values()
            if each.source in now.exchanges
            and now.exchanges[each.source].auto_delete
            and each.source not in left
        }
        if deserted <= gone:
            return Change(
                no_exchanges=tuple(sorted(gone)),
                no_bindings=tuple(loose.values()),
                no_queues=tuple(sorted(no_queues & now.queues.keys())),
            )
        gone |= deserted


def _refuse_unusable(exchange: Exchange) -> None:
    if exchange.name == DEFAULT_EXCHANGE:
        raise Refused("the exchange without a name is there by itself", hint="give it a name")


def _words(each: Exchange | Queue) -> str:
    fields = msgspec.to_builtins(each)  # defaults are left out
    if isinstance(each, Exchange):
        fields = {"type": each.type, **fields}
    told = ", ".join(f"{name}={value!r}" for name, value in fields.items() if name != "name")
    return told or "a queue without options"


def _named(found: Iterable[Named]) -> dict[str, Named]:
    return {each.name: each for each in found}


def _exchange_key(name: str) -> str:
    return _EXCHANGES + name


def _binding_key(binding: Binding) -> str:
    told = hashlib.blake2b(_encode(binding), digest_size=12).hexdigest()
    return f"{_BINDINGS}{binding.source}/{told}"


async def _values(store: Store, prefix: str) -> Sequence[bytes]:
    found: list[bytes] = []
    after = ""
    while page := await store.scan(prefix, after, _PAGE):
        found += [each.value for each in page]
        after = page[-1].key
    return found
