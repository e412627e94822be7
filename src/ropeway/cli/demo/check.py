"""The demo's second opinion: every answer again, from the file, by another method.

It shares no code with the tasks: its own parser, and no sets or walks, but one whole number for
each member whose bits are the friends. Imports nothing of ropeway, so that no fault can be shared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

Pair = tuple[int, int]
Ranked = tuple[int, int, int]
"""A suggested member, the number of mutual friends, the number of chains."""

_DATA = Path(__file__).parent / "data" / "debian-web-of-trust.txt"


@dataclass(frozen=True)
class Verdict:
    """How many answers were looked at, and one sentence for each that is wrong or missing."""

    total: int
    wrong: list[str]

    @property
    def agree(self) -> int:
        """How many answers are right."""
        return self.total - len(self.wrong)


def check(suggested: dict[int, list[Ranked]], mutual: dict[Pair, list[int]], top: int) -> Verdict:
    """Compare every answer with one computed here; a member without an answer counts as wrong."""
    rows = adjacency()
    wrong: list[str] = []
    members = list(_bits(sum(1 << number for number, row in enumerate(rows) if row)))
    for member in sorted({*members, *suggested}):
        wrong += _differs(f"suggest({member})", suggested.get(member), best(rows, member, top))
    for (a, b), answer in mutual.items():
        wrong += _differs(f"mutual({a}, {b})", answer, list(_bits(rows[a] & rows[b])))
    return Verdict(len({*members, *suggested}) + len(mutual), wrong)


def adjacency() -> list[int]:
    """Return one number for each member, at the member's place; bit n is set for friend n."""
    with _DATA.open(encoding="ascii") as file:
        words = [word for line in file for word in line.partition("#")[0].split()]
    numbers = [int(word) for word in words]
    rows = [0] * (max(numbers) + 1)
    for a, b in zip(numbers[::2], numbers[1::2], strict=True):
        rows[a] |= 1 << b
        rows[b] |= 1 << a
    return rows


def best(rows: list[int], member: int, top: int) -> list[Ranked]:
    """Return the best suggestions for one member, by counting common bits."""
    friends = rows[member]
    strangers = [v for v in range(len(rows)) if v != member and not friends >> v & 1]
    shared = {v: (friends & rows[v]).bit_count() for v in strangers}
    counts = sorted((count for count in shared.values() if count), reverse=True)
    if not counts:
        return []
    least = counts[:top][-1]
    ranked = [(v, n, _chains(rows, member, v)) for v, n in shared.items() if n >= least]
    ranked.sort(key=lambda one: (one[1], one[2], -one[0]), reverse=True)
    return ranked[:top]


def _chains(rows: list[int], a: int, b: int) -> int:
    return sum((rows[friend] & rows[b]).bit_count() for friend in _bits(rows[a]))


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def _differs(name: str, answer: object, expected: object) -> list[str]:
    if answer == expected:
        return []
    return [f"{name}: the answer is {answer}, expected {expected}"]
