"""Everything this supervisor holds a lease on: from the claim to the answer to its settle."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from ropeway.message import Delivery, Fence
from ropeway.worker.offers import Offers


class Held:
    """The fences of what was claimed and is not settled; `changed` is set when one goes.

    `early` are those that are settled before they run: losing their lease means nothing. `offers`
    knows what they use of the worker's resources.
    """

    def __init__(self, offers: Mapping[str, int] | None = None) -> None:
        self.offers = Offers(offers)
        self.changed = asyncio.Event()
        self.early: set[Fence] = set()
        self._fences: dict[str, Fence] = {}
        self._again: dict[Fence, Delivery] = {}

    def __len__(self) -> int:
        return len(self._fences)

    def add(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """These were claimed; returns those to run.

        After a pause that outlasts its leases a worker claims again what it is still running:
        such a delivery is kept for the end of that run, see `drop`. So is one of the same attempt,
        which comes when a standby took over that had not heard of the claim.
        """
        fresh: list[Delivery] = []
        for delivery in deliveries:
            old = self._fences.get(delivery.fence.id)
            if old == delivery.fence:
                self._again[old] = delivery
                continue
            self.offers.take(delivery)
            self._fences[delivery.fence.id] = delivery.fence
            if old is not None and old.attempt + 1 == delivery.fence.attempt:
                self._again[old] = delivery
            else:
                fresh.append(delivery)
        return fresh

    def is_early(self, fence: Fence) -> bool:
        """Whether this one is settled before it runs."""
        return bool(self.early) and fence in self.early

    def drop(self, fence: Fence) -> Delivery | None:
        """This one is settled, or lost; returns the delivery that this worker got after it."""
        if self._fences.get(fence.id) == fence:
            del self._fences[fence.id]
        if self.early:
            self.early.discard(fence)
        self.offers.give(fence)
        self.changed.set()
        return self._again.pop(fence, None) if self._again else None

    def fences(self) -> list[Fence]:
        """All of them, for a renewal."""
        return list(self._fences.values())
