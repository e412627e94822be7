"""How fast messages are routed: `python -m benchmarks.routing`, one line for each type of exchange.

Of 10,000 bindings a few want each message. "New keys" are 100,000 different ones, of which none is
remembered; "known keys" are 5,000 that come again and again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from ropeway.routing import Binding, Exchange, ExchangeType, Router, Value

BINDINGS, NEW, KNOWN, TURNS = 10_000, 100_000, 5_000, 20

Sent = tuple[str, dict[str, Value]]


def made(kind: ExchangeType, number: int = BINDINGS) -> Router:
    """Return a router of one exchange with so many bindings."""
    return Router([Exchange(name="x", type=kind)], [_binding(kind, n) for n in range(number)])


def sent(kind: ExchangeType, number: int) -> list[Sent]:
    """Return so many different messages, each of which some queue wants."""
    return [_message(kind, n) for n in range(number)]


def _binding(kind: ExchangeType, n: int) -> Binding:
    if kind == "topic":
        key = (f"shop{n}.orders.*", f"shop{n}.#.paid", f"*.item{n}.#")[n % 3]
        return Binding(source="x", to=f"q{n}", key=key)
    if kind == "headers":
        return Binding(source="x", to=f"q{n}", arguments={"shop": f"shop{n}", "kind": "order"})
    return Binding(source="x", to=f"q{n}", key=f"shop{n}")


def _message(kind: ExchangeType, n: int) -> Sent:
    shop = n % BINDINGS
    if kind == "topic":
        tail = ("orders.n", f"eu.n{n}.paid", f"item{shop}.n")[shop % 3]
        return f"shop{shop}.{tail}{n if shop % 3 != 1 else ''}", {}
    if kind == "headers":
        return f"k{n}", {"shop": f"shop{shop}", "kind": "order", "number": n}
    return f"shop{shop}", {}


def rate(router: Router, messages: Sequence[Sent]) -> float:
    """Return how many of these messages are routed in a second of one core."""
    start = time.process_time()
    for key, headers in messages:
        router.route("x", key, headers)
    return len(messages) / (time.process_time() - start)


def main(say: Callable[[str], object] = print) -> int:
    """Measure and print."""
    kinds: tuple[ExchangeType, ...] = ("direct", "topic", "headers")
    for kind in kinds:
        new = max(rate(made(kind), sent(kind, NEW)) for _ in range(3))
        router, known = made(kind), sent(kind, KNOWN)
        again = max(rate(router, known) for _ in range(TURNS))
        say(
            f"{kind:<8} {BINDINGS:,} bindings: {new:>9,.0f}/s new keys, {again:>9,.0f}/s known keys"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
