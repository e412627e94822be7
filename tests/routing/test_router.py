"""The router finds what looking at every binding finds, and is not slowed by what is not concerned."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping

import pytest

from benchmarks import routing
from ropeway.routing import Binding, Exchange, ExchangeType, Router, Value
from tests.routing import generated

SEEDS = 60


@pytest.mark.parametrize("seed", range(SEEDS))
def test_it_finds_what_looking_at_every_binding_finds(seed: int) -> None:
    """Of generated topologies and messages; the ways for people end at the same queues."""
    chance = random.Random(seed)
    made = generated.topology(chance)
    router = Router(made.exchanges, made.bindings, made.queues)
    for _ in range(100):
        message = generated.sent(chance, made)
        asked = message.exchange, message.key, message.headers, message.more_keys
        expected = generated.expected(made, message)
        assert list(router.route(*asked)) == expected, message
        assert [way.queue for way in router.ways(*asked)] == expected, message


def test_the_generated_cases_are_about_something() -> None:
    """Many messages are routed and many are not, by every type of exchange."""
    chance = random.Random(1)
    routed = dict.fromkeys(("", *generated.TYPES), 0)
    lost = dict(routed)
    for _ in range(40):
        made = generated.topology(chance)
        types: dict[str, str] = {each.name: each.type for each in made.exchanges}
        for _ in range(50):
            message = generated.sent(chance, made)
            counted = routed if generated.expected(made, message) else lost
            counted[types.get(message.exchange, "")] += 1
    assert min(routed.values()) > 50
    assert min(lost[each] for each in ("direct", "topic", "headers")) > 50


def router(kind: ExchangeType, *bindings: Binding) -> Router:
    """Return a router with one exchange, called x."""
    return Router([Exchange(name="x", type=kind)], bindings)


@pytest.mark.parametrize(
    ("pattern", "key", "wanted"),
    [
        ("", "", True),
        ("", "a", False),
        ("#", "", True),
        ("#", "a.b.c", True),
        ("*", "", False),
        ("*", "a", True),
        ("*.*", ".", True),
        ("a.#", "a", True),
        ("a.#.b", "a.b", True),
        ("a.#.b", "a.x.b.y.b", True),
        ("a.#.b", "a.b.c", False),
        ("#.#", "", True),
        ("#.*", "", False),
        ("*.#", "a", True),
        ("#.a.#", "b.a", True),
        ("a..b", "a..b", True),
        ("a.*.b", "a..b", True),
        ("a.b", "a.*", False),
    ],
)
def test_patterns(pattern: str, key: str, wanted: bool) -> None:
    """`*` is one word, also an empty one; `#` is any number of them, also none."""
    found = router("topic", Binding(source="x", to="q", key=pattern)).route("x", key)
    assert found == (("q",) if wanted else ())


@pytest.mark.parametrize(
    ("arguments", "headers", "wanted"),
    [
        ({}, {}, True),
        ({"x-match": "any"}, {"a": 1}, False),
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"x-match": "any", "a": 1, "b": 2}, {"b": 2}, True),
        ({"a": None}, {"a": "whatever"}, True),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": 1}, {"a": True}, False),
        ({"x-a": 1}, {}, True),
        ({"x-match": "all-with-x", "x-a": 1}, {}, False),
        ({"x-match": "any-with-x", "x-a": 1}, {"x-a": 1}, True),
    ],
)
def test_headers(arguments: dict[str, Value], headers: Mapping[str, Value], wanted: bool) -> None:
    """All or any of them, by value and kind of value; None asks only whether it is there."""
    binding = Binding(source="x", to="q", arguments=arguments)
    assert router("headers", binding).route("x", "", headers) == (("q",) if wanted else ())


def test_several_bindings_deliver_once() -> None:
    """However many ways lead to a queue, also in a circle."""
    circle = [
        Binding(source="x", to="y", to_exchange=True),
        Binding(source="y", to="x", to_exchange=True),
        Binding(source="x", to="q"),
        Binding(source="y", to="q"),
    ]
    exchanges = [Exchange(name=name, type="fanout") for name in "xy"]
    assert Router(exchanges, circle).route("x", "") == ("q",)


def test_the_way_is_told() -> None:
    """By which bindings and alternates a message got where it is."""
    exchanges = [
        Exchange(name="x", type="direct", alternate="y"),
        Exchange(name="y", type="topic"),
        Exchange(name="z", type="fanout"),
    ]
    onward = Binding(source="y", to="z", to_exchange=True, key="#")
    last = Binding(source="z", to="q")
    (way,) = Router(exchanges, [onward, last]).ways("x", "a.b")
    assert (way.queue, way.bindings, way.alternates) == ("q", (onward, last), ("y",))


def test_an_unknown_exchange_is_an_error() -> None:
    """As on any broker; a binding to one that is not there leads nowhere."""
    made = router("fanout", Binding(source="x", to="gone", to_exchange=True))
    assert made.route("x", "") == ()
    for ask in (made.route, made.ways):
        with pytest.raises(LookupError, match="'nowhere'"):
            ask("nowhere", "")


def test_many_hashes_do_not_explode() -> None:
    """Patterns that make a backtracking matcher take minutes; the bound is a thousandfold lax."""
    pattern = ".".join(["#", "a"] * 15)
    made = router("topic", Binding(source="x", to="q", key=pattern))
    start = time.perf_counter()
    assert made.route("x", ".".join("a" * 300)) == ("q",)
    assert made.route("x", ".".join("a" * 300 + "b")) == ()
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("kind", ["direct", "topic", "headers"])
def test_bindings_that_are_not_concerned_cost_nothing(kind: ExchangeType) -> None:
    """A message among 10,000 bindings takes about as long as among ten; the bound is tenfold lax.

    `python -m benchmarks.routing` measures it: above 300,000 a second of one core.
    """
    messages = routing.sent(kind, 5_000)
    few, many = routing.made(kind, 10), routing.made(kind)
    assert all(len(many.route("x", key, headers)) == 1 for key, headers in messages)
    rates = [
        max(routing.rate(router, routing.sent(kind, 2_000)) for _ in range(3))
        for router in (few, many)
    ]
    assert rates[1] > rates[0] / 10
