"""Which queues a message goes to: exchanges and bindings as values, and a compiled router.

The model is that of AMQP 0-9-1 with what RabbitMQ adds to it: bindings between exchanges, alternate
exchanges, several routing keys, and `x-match`. All pure: no I/O and no clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct, field

Value = str | bytes | bool | int | float | None | list[object] | dict[str, object]
"""What a header may hold; None is AMQP's "no value"."""

ExchangeType = Literal["direct", "fanout", "topic", "headers"]

DEFAULT_EXCHANGE = ""
"""The exchange without a name: a routing key is the name of the queue there."""

_REMEMBERED = 10_000


class Exchange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What publishers send to. `alternate` gets what none of its bindings wants.

    It is gone with the last binding from it if it is `auto_delete`; nobody can publish to one that
    is `internal`, which only other exchanges are bound to.
    """

    name: str
    type: ExchangeType = "direct"
    alternate: str | None = None
    durable: bool = True
    auto_delete: bool = False
    internal: bool = False


class Binding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an exchange, the `source`, hands to a queue or to another exchange.

    `key` is a routing key, or in a topic exchange a pattern: words between dots, `*` for one word
    and `#` for any number of them. `arguments` say for a headers exchange what a message must have:
    a value of None only that the header is there, and `x-match` whether all (without it) or any of
    them have to match; those that begin with `x-` count only with "all-with-x" and "any-with-x".
    """

    source: str
    to: str
    to_exchange: bool = False
    key: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)  # of `Value`, which msgspec cannot tell


class Way(Struct, frozen=True):
    """The bindings by which a message gets to a queue; `alternates` were taken for want of any."""

    queue: str
    bindings: tuple[Binding, ...]
    alternates: tuple[str, ...] = ()


class Matcher(Protocol):
    """The bindings of one exchange, made ready for finding those that match."""

    def match(self, keys: Sequence[str], headers: Mapping[str, Value]) -> list[Binding]:
        """Return the bindings that want a message with these routing keys and headers."""
        ...


class Router:
    """Finds the queues of messages; its cost does not grow with bindings that are not concerned.

    What it was given does not change any more: for another topology make another router.
    """

    def __init__(
        self,
        exchanges: Iterable[Exchange],
        bindings: Iterable[Binding],
        queues: Collection[str] | None = None,
    ) -> None:
        self._exchanges = {each.name: each for each in exchanges}
        self._queues = queues
        by_source = defaultdict[str, list[Binding]](list)
        for binding in bindings:
            by_source[binding.source].append(binding)
        self._matchers = {
            name: _MATCHERS[each.type](by_source[name]) for name, each in self._exchanges.items()
        }
        # Where no header is looked at, the same keys lead to the same queues.
        self._by_key = all(each.type != "headers" for each in self._exchanges.values())
        self._remembered: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}

    def route(
        self,
        exchange: str,
        key: str,
        headers: Mapping[str, Value] | None = None,
        more_keys: Sequence[str] = (),
    ) -> tuple[str, ...]:
        """Return the queues of a message, each once, in the order of their names.

        `more_keys` are further routing keys, as the headers CC and BCC hold them. Raises
        `LookupError` if there is no such exchange.
        """
        keys = (key, *more_keys)
        if not self._by_key:
            return self._find(exchange, keys, headers or {})
        found = self._remembered.get((exchange, keys))
        if found is None:
            found = self._find(exchange, keys, {})
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[exchange, keys] = found
        return found

    def ways(
        self,
        exchange: str,
        key: str,
        headers: Mapping[str, Value] | None = None,
        more_keys: Sequence[str] = (),
    ) -> list[Way]:
        """Return for each queue of a message one way that it takes there, for people."""
        keys = (key, *more_keys)
        if exchange == DEFAULT_EXCHANGE:
            return [Way(queue, ()) for queue in self._direct(keys)]
        found: dict[str, Way] = {}
        self._known(exchange)
        reached: dict[str, Way] = {exchange: Way("", ())}
        todo = [exchange]
        while todo:
            name = todo.pop(0)
            way = reached[name]
            matched = self._matchers[name].match(keys, headers or {})
            alternate = self._alternate(name, matched)
            if alternate is not None and alternate not in reached:
                reached[alternate] = Way("", way.bindings, (*way.alternates, alternate))
                todo.append(alternate)
            for binding in matched:
                onward = Way(binding.to, (*way.bindings, binding), way.alternates)
                if not binding.to_exchange:
                    found.setdefault(binding.to, onward)
                elif binding.to in self._exchanges and binding.to not in reached:
                    reached[binding.to] = onward
                    todo.append(binding.to)
        return [found[queue] for queue in sorted(found)]

    def _find(
        self, exchange: str, keys: tuple[str, ...], headers: Mapping[str, Value]
    ) -> tuple[str, ...]:
        if exchange == DEFAULT_EXCHANGE:
            return self._direct(keys)
        self._known(exchange)
        queues: set[str] = set()
        seen, todo = {exchange}, [exchange]
        while todo:
            name = todo.pop()
            matched = self._matchers[name].match(keys, headers)
            onward = [each.to for each in matched if each.to_exchange]
            queues.update(each.to for each in matched if not each.to_exchange)
            alternate = self._alternate(name, matched)
            if alternate is not None:
                onward.append(alternate)
            fresh = {each for each in onward if each in self._exchanges} - seen
            seen |= fresh
            todo += fresh
        return tuple(sorted(queues))

    def _direct(self, keys: Iterable[str]) -> tuple[str, ...]:
        wanted = sorted(set(keys))
        return tuple(key for key in wanted if self._queues is None or key in self._queues)

    def _known(self, exchange: str) -> None:
        if exchange not in self._exchanges:
            raise LookupError(f"there is no exchange {exchange!r}")

    def _alternate(self, exchange: str, matched: Collection[Binding]) -> str | None:
        alternate = self._exchanges[exchange].alternate
        return alternate if not matched and alternate in self._exchanges else None


class _Fanout:
    """Every binding wants everything."""

    def __init__(self, bindings: Sequence[Binding]) -> None:
        self._bindings = list(bindings)

    def match(self, keys: Sequence[str], headers: Mapping[str, Value]) -> list[Binding]:
        return self._bindings


class _Direct:
    """A binding wants the routing key that is its own."""

    def __init__(self, bindings: Sequence[Binding]) -> None:
        self._by_key = defaultdict[str, list[Binding]](list)
        for binding in bindings:
            self._by_key[binding.key].append(binding)

    def match(self, keys: Sequence[str], headers: Mapping[str, Value]) -> list[Binding]:
        return [each for key in dict.fromkeys(keys) for each in self._by_key.get(key, ())]


class _Node:
    """A place in the tree of patterns: what may follow, and what ends here."""

    __slots__ = ("bindings", "loops", "many", "one", "words")

    def __init__(self, *, loops: bool = False) -> None:
        self.words: dict[str, _Node] = {}
        self.one: _Node | None = None
        self.many: _Node | None = None
        self.loops = loops  # it comes after `#`, which takes any further word as well
        self.bindings: list[Binding] = []


class _Topic:
    """A binding's pattern is a path in a tree; a routing key is walked along all paths at once.

    The places reached so far are a set, so that it does not matter in how many ways each of them
    was reached: patterns with many `#` cost no more than they have words.
    """

    def __init__(self, bindings: Sequence[Binding]) -> None:
        self._root = _Node()
        for binding in bindings:
            node = self._root
            for word in words(binding.key):
                node = _next(node, word)
            node.bindings.append(binding)

    def match(self, keys: Sequence[str], headers: Mapping[str, Value]) -> list[Binding]:
        if len(keys) == 1:
            return [each for node in self._walk(keys[0]) for each in node.bindings]
        ends = dict.fromkeys(node for key in keys for node in self._walk(key))
        return [each for node in ends for each in node.bindings]

    def _walk(self, key: str) -> list[_Node]:
        places = _with_many([self._root])
        for word in key.split(".") if key else ():
            reached: list[_Node] = []
            many = False
            for node in places:
                if node.loops:
                    reached.append(node)
                if (one := node.one) is not None:
                    reached.append(one)
                    many |= one.many is not None
                if (named := node.words.get(word)) is not None:
                    reached.append(named)
                    many |= named.many is not None
            places = _with_many(reached) if many else reached
        return places


def _with_many(places: list[_Node]) -> list[_Node]:
    """Add the places that are reached without a further word: those after a `#`.

    Of a tree only these can be reached in two ways, so only these are looked for twice.
    """
    looping = {node for node in places if node.loops}
    for node in places:  # it grows meanwhile
        many = node.many
        if many is not None and many not in looping:
            looping.add(many)
            places.append(many)
    return places


def _next(node: _Node, word: str) -> _Node:
    if word == "*":
        node.one = node.one or _Node()
        return node.one
    if word == "#":
        if node.loops:
            return node  # a second `#` says nothing new
        node.many = node.many or _Node(loops=True)
        return node.many
    return node.words.setdefault(word, _Node())


def words(key: str) -> list[str]:
    """Split a routing key or pattern at its dots; the empty one has no words."""
    return key.split(".") if key else []


_Fact = tuple[str, str, object]


class _Headers:
    """A binding is looked at only if the message has something that the binding asks for."""

    def __init__(self, bindings: Sequence[Binding]) -> None:
        self._always: list[Binding] = []
        self._by_fact = defaultdict[_Fact, list[tuple[Binding, frozenset[_Fact]]]](list)
        wanted = [(each, frozenset(asked(each.arguments))) for each in bindings]
        common = defaultdict[_Fact, int](int)
        for _, facts in wanted:
            for fact in facts:
                common[fact] += 1
        for binding, facts in wanted:
            if _any(binding):
                for fact in facts:
                    self._by_fact[fact].append((binding, frozenset()))
            elif facts:
                rarest = min(facts, key=lambda fact: common[fact])
                self._by_fact[rarest].append((binding, facts))
            else:
                self._always.append(binding)
        self._of_presence = any(not kind for _, kind, _ in common)

    def match(self, keys: Sequence[str], headers: Mapping[str, Value]) -> list[Binding]:
        there = {_fact(*header) for header in headers.items()}
        if self._of_presence:
            there.update((name, "", None) for name in headers)
        found: dict[int, Binding] = {}
        for fact in there & self._by_fact.keys():
            for binding, facts in self._by_fact[fact]:
                if facts <= there:
                    found[id(binding)] = binding
        return [*self._always, *found.values()]


def asked(arguments: Mapping[str, Value]) -> list[_Fact]:
    """Return what a binding of a headers exchange asks for."""
    special = str(arguments.get("x-match", "all")).endswith("-with-x")
    return [
        _fact(name, value)
        for name, value in arguments.items()
        if name != "x-match" and (special or not name.startswith("x-"))
    ]


def _any(binding: Binding) -> bool:
    return binding.arguments.get("x-match") in {"any", "any-with-x"}


def _fact(name: str, value: Value) -> _Fact:
    # As RabbitMQ compares: numbers are equal whatever their width, a whole one is never equal to a
    # fraction, and text is equal to the bytes it is written in.
    kind = type(value)
    if kind is list or kind is dict:
        return name, kind.__name__, msgspec.msgpack.encode(value, order="deterministic")
    if isinstance(value, bytes):
        kind, value = str, value.decode("utf-8", "surrogateescape")
    return (name, "", None) if value is None else (name, kind.__name__, value)


_MATCHERS: dict[ExchangeType, Callable[[Sequence[Binding]], Matcher]] = {
    "direct": _Direct,
    "fanout": _Fanout,
    "topic": _Topic,
    "headers": _Headers,
}
