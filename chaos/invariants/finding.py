"""What a checker says: whether an invariant held, with figures and examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from msgspec import Struct, field

MOST_EXAMPLES = 10

Judgement = Literal["valid", "invalid", "unknown"]


class Example(NamedTuple):
    """A job with which something is wrong, and what."""

    id: str
    fact: str


class Finding(Struct, frozen=True, kw_only=True):
    """The judgement of one checker; `violations` counts all, `examples` are the first of them."""

    invariant: str
    words: str
    judgement: Judgement
    violations: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)


def judge(
    invariant: str,
    words: str,
    wrong: Sequence[Example],
    counts: dict[str, int] | None = None,
    *,
    known: bool = True,
) -> Finding:
    """Sum up: invalid if anything is wrong, unknown if not everything could be seen."""
    judgement: Judgement = "invalid" if wrong else "valid" if known else "unknown"
    return Finding(
        invariant=invariant,
        words=words,
        judgement=judgement,
        violations=len(wrong),
        counts=counts or {},
        examples=list(wrong[:MOST_EXAMPLES]),
    )
