"""Everything this supervisor holds a lease on: from the claim to the answer to its settle."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from ropeway.message import Delivery, Fence


class Held:
    """The fences of what was claimed and is not settled; `changed` is set when one goes."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._fences: dict[str, Fence] = {}

    def __len__(self) -> int:
        return len(self._fences)

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """These were claimed."""
        for delivery in deliveries:
            self._fences[delivery.fence.id] = delivery.fence

    def drop(self, fence: Fence) -> None:
        """This one is settled, or lost."""
        if self._fences.get(fence.id) == fence:
            del self._fences[fence.id]
        self.changed.set()

    def fences(self) -> list[Fence]:
        """All of them, for a renewal."""
        return list(self._fences.values())
