"""The contract of two servers of which one stands by for the other."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from chaos.witness import Witness
from chaos.witnesses.noted import NotedWitness


class Pair(Protocol):
    """A server and its standby; not `synchronous`: it answers before the standby has a change."""

    @property
    def url(self) -> str:
        """How to reach whichever of them takes writes."""
        ...

    def start(self) -> None:
        """Start both, and wait until the one follows the other."""
        ...

    def separate(self) -> None:
        """Keep the standby from hearing of changes, as a slow network would."""
        ...

    def kill(self) -> None:
        """Kill the server for good."""
        ...

    def promote(self) -> None:
        """Return when its standby takes writes."""
        ...

    def back(self) -> None:
        """Start the one that was killed, if it can find its place by itself."""
        ...

    def end(self) -> None:
        """Kill all. May be called again."""
        ...


class PairPlace:
    """The place of a run on a pair: nothing strikes it but its failover."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.settings: dict[str, str] = {}
        self.struck = False

    @property
    def url(self) -> str:
        """How to reach whichever takes writes."""
        return self.pair.url

    def start(self) -> None:
        """Start both."""
        self.pair.start()

    def end(self) -> None:
        """Kill both."""
        self.pair.end()

    def freeze(self) -> list[int]:
        """It is never stopped as a whole."""
        return []

    def worker_url(self, number: int) -> str:
        """All find the server by themselves."""
        return self.url

    def producer_url(self, number: int) -> str:
        """All find the server by themselves."""
        return self.url

    def clock_offset(self, number: int) -> float:
        """All clocks are right."""
        return 0.0

    def witness(self, history: Path, lease: float) -> Witness:
        """Those who ask write down what they are told."""
        return NotedWitness(self, self.url, history, lease)

    def fill_disk(self) -> bool:
        """They have no disk of their own."""
        return False

    def free_disk(self) -> None:
        """They have no disk of their own."""

    def lock(self) -> bool:
        """Nobody locks them."""
        return False

    def unlock(self) -> None:
        """Nobody locks them."""

    def damage(self) -> str:
        """What is left is looked at as it is."""
        return ""
