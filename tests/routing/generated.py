"""Topologies and messages made by chance, and what matching means, spelt out as slowly as it reads."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from msgspec import Struct

from ropeway.routing import Binding, Exchange, ExchangeType, Value

TYPES: tuple[ExchangeType, ...] = ("direct", "fanout", "topic", "headers")
_WORDS = ("a", "b", "c", "", "long-word", "*", "#")
_PATTERN = ("a", "b", "c", "", "*", "*", "#", "#")
_NAMES = ("kind", "user", "x-kind", "x-user", "other")
_PLAIN: list[Value] = ["eu", "us", "", 0, 1, 2**40, -1, True, False, None, b"eu"]
_NESTED: list[Value] = [[1, "a"], [1, "b"], {"in": 1}, {"in": 2}]
_VALUES = (*_PLAIN, *_NESTED)
_MATCHES = ("all", "any", "all-with-x", "any-with-x")


class Topology(Struct, frozen=True):
    """Exchanges, queues and bindings."""

    exchanges: list[Exchange]
    queues: list[str]
    bindings: list[Binding]


class Sent(Struct, frozen=True):
    """What is published."""

    exchange: str
    key: str
    headers: dict[str, Value]
    more_keys: tuple[str, ...]


def topology(chance: random.Random) -> Topology:
    """Make a topology with every type in it, cycles and alternates included."""
    names = [f"x{number}" for number in range(chance.randint(4, 12))]
    exchanges = [
        Exchange(
            name=name,
            type=TYPES[number % 4],
            alternate=chance.choice([*names, "missing"]) if chance.random() < 0.3 else None,
        )
        for number, name in enumerate(names)
    ]
    queues = [f"q{number}" for number in range(chance.randint(1, 15))]
    bindings = [_binding(chance, exchanges, queues) for _ in range(chance.randint(5, 60))]
    return Topology(exchanges, queues, bindings)


def sent(chance: random.Random, made: Topology) -> Sent:
    """Make a message."""
    anywhere = [*(each.name for each in made.exchanges), ""]
    exchange = chance.choice(anywhere)
    key = chance.choice(made.queues) if not exchange else _key(chance, _WORDS)
    more = [_key(chance, _WORDS) for _ in range(2)] if chance.random() < 0.1 else []
    return Sent(exchange, key, _headers(chance), tuple(more))


def expected(made: Topology, message: Sent) -> list[str]:
    """Say where a message goes, by looking at every binding."""
    keys = (message.key, *message.more_keys)
    if not message.exchange:
        return sorted({key for key in keys if key in made.queues})
    by_name = {each.name: each for each in made.exchanges}
    found, seen, todo = set[str](), {message.exchange}, [message.exchange]
    while todo:
        exchange = by_name[todo.pop()]
        matched = [
            each
            for each in made.bindings
            if each.source == exchange.name and wants(exchange.type, each, keys, message.headers)
        ]
        onward = {each.to for each in matched if each.to_exchange}
        found |= {each.to for each in matched if not each.to_exchange}
        if not matched and exchange.alternate:
            onward.add(exchange.alternate)
        fresh = (onward & by_name.keys()) - seen
        seen |= fresh
        todo += fresh
    return sorted(found)


def wants(
    kind: ExchangeType, binding: Binding, keys: Sequence[str], headers: Mapping[str, Value]
) -> bool:
    """Say if a binding of an exchange of that type wants a message."""
    if kind == "fanout":
        return True
    if kind == "direct":
        return binding.key in keys
    if kind == "topic":
        return any(matches(_split(binding.key), _split(key)) for key in keys)
    rule = str(binding.arguments.get("x-match", "all"))
    asked = {
        name: value
        for name, value in binding.arguments.items()
        if name != "x-match" and (rule.endswith("-with-x") or not name.startswith("x-"))
    }
    told = [
        name in headers and (value is None or _same(headers[name], value))
        for name, value in asked.items()
    ]
    return any(told) if rule.startswith("any") else all(told)


def matches(pattern: Sequence[str], words: Sequence[str]) -> bool:
    """Say if words match a pattern, by trying all that `#` may stand for."""
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(matches(pattern[1:], words[n:]) for n in range(len(words) + 1))
    return bool(words) and pattern[0] in {"*", words[0]} and matches(pattern[1:], words[1:])


def _same(one: Value, other: Value) -> bool:
    one, other = (each.encode() if isinstance(each, str) else each for each in (one, other))
    return type(one) is type(other) and one == other


def _split(key: str) -> list[str]:
    return key.split(".") if key else []


def _key(chance: random.Random, words: Sequence[str]) -> str:
    return ".".join(chance.choice(words) for _ in range(chance.randint(0, 4)))


def _headers(chance: random.Random) -> dict[str, Value]:
    return {name: chance.choice(_VALUES) for name in _NAMES if chance.random() < 0.5}


def _binding(
    chance: random.Random, exchanges: Sequence[Exchange], queues: Sequence[str]
) -> Binding:
    source = chance.choice(exchanges)
    onward = chance.random() < 0.25
    arguments: dict[str, Value] = {}
    key = _key(chance, _PATTERN)
    if source.type == "headers":
        arguments = dict(list(_headers(chance).items())[:2])
        if chance.random() < 0.8:
            arguments["x-match"] = chance.choice(_MATCHES)
    elif source.type == "direct":
        key = _key(chance, _WORDS[:4])
    return Binding(
        source=source.name,
        to=chance.choice(exchanges).name if onward else chance.choice(queues),
        to_exchange=onward,
        key=key,
        arguments=arguments,
    )
