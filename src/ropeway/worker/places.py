"""What a worker's loops ask of whatever runs the calls: children, or this very process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from ropeway.message import Delivery, Fence, Kind, Outcome

OnEnded = Callable[[list[tuple[Delivery, Outcome]]], None]


class Places(Protocol):
    """Where calls are run. Each that is taken comes back exactly once, with its outcome."""

    @property
    def freed(self) -> asyncio.Event:
        """Set whenever there may be new room."""
        ...

    @property
    def busy(self) -> int:
        """How many calls are held."""
        ...

    def room(self) -> dict[Kind, int]:
        """How many more calls of each kind could be taken now."""
        ...

    @property
    def thin(self) -> bool:
        """Whether of some kind nothing would start at once, and there is room for little beside."""
        ...

    def run(self, deliveries: Sequence[tuple[Delivery, Kind]]) -> list[Delivery]:
        """Take calls; return those with no place."""
        ...

    def interrupt(self, lost: frozenset[Fence]) -> None:
        """Ask for the calls of these attempts to be stopped."""
        ...

    async def recall(self) -> None:
        """Give back, as interrupted, what has not started."""
        ...

    async def close(self, *, kill: bool) -> None:
        """End everything, and return when nothing runs any more and all has come back."""
        ...
