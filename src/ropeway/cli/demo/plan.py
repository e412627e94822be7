"""What the demo asks: everyone's suggestions, and the mutual friends of chosen pairs."""

from __future__ import annotations

import random

from ropeway.cli.demo.graph import friends

TASKS = 10_000
TOP = 5

Pair = tuple[int, int]
Question = int | Pair
"""A member, who wants suggestions; or two members, whose mutual friends are wanted."""


def questions(total: int = TASKS) -> list[Question]:
    """Return one question for every member and pairs up to `total`, mixed; always the same ones.

    Both kinds are mixed so that threads and the event loop of a child are busy at any time.
    """
    chance = random.Random("friends of friends")
    asked: dict[Question, None] = dict.fromkeys(friends())
    while len(asked) < total:
        asked[_pair(chance)] = None
    mixed = list(asked)
    chance.shuffle(mixed)
    return mixed


def _pair(chance: random.Random) -> Pair:
    """Draw two members who share a friend, so that no answer is empty."""
    near = friends()
    while True:
        shared = chance.choice(list(near))
        a, b = chance.choice(sorted(near[shared])), chance.choice(sorted(near[shared]))
        if a != b:
            return min(a, b), max(a, b)
