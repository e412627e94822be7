"""What a worker is doing, in one word, and why it does not consume, in one sentence."""

from __future__ import annotations

from msgspec import Struct

from ropeway.control import Doing
from ropeway.words import several

SILENCE = 5.0
"""Seconds without an answer to its claims after which a worker no longer counts as consuming."""


class Facts(Struct, frozen=True, kw_only=True):
    """What the parts of a worker say: counts, and seconds that the store has not answered for."""

    children: int
    held: int
    silent: float = 0.0
    missing: str = ""
    quiet: bool = False
    stopping: bool = False


class Condition(Struct, frozen=True):
    """The word, and the sentence; the latter is empty while the worker consumes."""

    state: Doing
    why: str = ""

    @property
    def consuming(self) -> bool:
        """Whether a message that comes now would be taken when there is room."""
        return self.state == "consuming"


def condition(facts: Facts) -> Condition:
    """Say what follows from the facts; what a person asked for comes before what went wrong."""
    if facts.stopping:
        return Condition("draining", f"it was told to stop, with {several(facts.held)} in hand")
    if facts.quiet:
        return Condition("quiet", "it was told to claim nothing more")
    if not facts.children:
        return Condition("waiting", "none of its child processes is up")
    if facts.silent > SILENCE:
        missing = facts.missing or "the backend does not answer"
        return Condition("waiting", f"nothing can be claimed for {facts.silent:.0f} s: {missing}")
    return Condition("consuming")
