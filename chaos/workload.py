"""What is asked for in a run: a list of calls, drawn from the seed."""

from __future__ import annotations

import string
from collections.abc import Sequence

from msgspec import Struct

from chaos.profile import Profile
from chaos.seeds import stream


class Item(Struct, frozen=True):
    """One call: its number, when it is sent, what it does, and how often it fails at first."""

    n: int
    at: float
    task: str
    payload: str
    pause: float
    fails: int


def draw(seed: int, profile: Profile) -> list[Item]:
    """All calls of a run, in the order in which they are sent."""
    chance, payloads = stream(seed, "workload"), stream(seed, "payloads")
    times = sorted(chance.uniform(0.0, profile.sending) for _ in range(profile.tasks))
    items: list[Item] = []
    # None in the first tenth: a worker that starts must find its feet before it is poisoned.
    poisoned = chance.sample(range(profile.tasks // 10, profile.tasks), profile.poison)
    for n, at in enumerate(times):
        task, shortest, longest = _kind(chance.random(), profile.lease)
        if n in poisoned:
            task, shortest, longest = "poison", 0.0, 0.01
        fails = chance.choice((1, 2)) if chance.random() < profile.failing else 0
        payload = "".join(payloads.choices(string.ascii_letters, k=_length(payloads.random())))
        items.append(Item(n, at, task, payload, chance.uniform(shortest, longest), fails))
    return items


def share(items: Sequence[Item], index: int, of: int) -> list[Item]:
    """What one of several producers sends."""
    return [item for item in items if item.n % of == index]


def _kind(draw: float, lease: float) -> tuple[str, float, float]:
    if draw < 0.002:
        return "long_plain", 1.1 * lease, 1.5 * lease
    if draw < 0.008:
        return "long_coroutine", 1.2 * lease, 3.0 * lease
    if draw < 0.20:
        return "coroutine", 0.05, 0.3
    return ("coroutine", 0.0, 0.02) if draw < 0.60 else ("plain", 0.0, 0.01)


def _length(draw: float) -> int:
    return 30_000 if draw < 0.002 else 1 + int(400 * draw)
