"""The contract of a place: where a run has its backend, and how whoever takes part reaches it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from chaos.witness import Witness


class Place(Protocol):
    """One backend, made for one run. Whoever strikes the whole of it says so in `struck`."""

    struck: bool

    @property
    def url(self) -> str:
        """How to reach it past all faults, for whoever looks on."""
        ...

    @property
    def settings(self) -> dict[str, str]:
        """Settings of ropeway's own that belong to it."""
        ...

    def start(self) -> None:
        """Have it run, also again with what it has kept."""
        ...

    def end(self) -> None:
        """End it at once, as a power cut would. May be called again."""
        ...

    def freeze(self) -> list[int]:
        """Stop it where it stands; returns the ids of its processes."""
        ...

    def worker_url(self, number: int) -> str:
        """How the worker with this number reaches it."""
        ...

    def producer_url(self, number: int) -> str:
        """How the producer with this number reaches it."""
        ...

    def clock_offset(self, number: int) -> float:
        """By how many seconds the clock of the worker with this number is wrong."""
        ...

    def witness(self, history: Path, lease: float) -> Witness:
        """Whoever sees what it really does; `history` is the folder where the run is noted."""
        ...

    def fill_disk(self) -> bool:
        """Leave no free byte on its disk; False if it has none of its own."""
        ...

    def free_disk(self) -> None:
        """Remove what filled the disk. May be called again."""
        ...
