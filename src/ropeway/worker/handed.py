"""The calls that one child was handed and has not given back, by slot."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ropeway.message import Delivery, Fence, Kind, Outcome
from ropeway.worker.cell import SLOTS, Cell
from ropeway.worker.window import Window


class Handover(NamedTuple):
    """One call that a child holds; `at` is on the monotonic clock."""

    delivery: Delivery
    kind: Kind
    at: float


class Handed:
    """What a child holds, and what its cell says of that.

    A slot is used again only when the child has spoken of it: also one whose call was withdrawn.
    `ended` is how many calls it has given back.
    """

    def __init__(self) -> None:
        self.cell = Cell.create()
        self.windows: dict[Kind, Window] = {}
        self.calls: dict[int, Handover] = {}
        self.ended = 0
        self._free = list(range(SLOTS))
        self._withdrawn: set[int] = set()

    def open(self, slots: Mapping[Kind, int]) -> None:
        """From now on it takes calls of these kinds."""
        self.windows = {kind: Window(count) for kind, count in slots.items()}

    def take(self, delivery: Delivery, kind: Kind, now: float) -> int:
        """Hold one more call; returns its slot."""
        slot = self._free.pop()
        self.cell.clear(slot)
        self.calls[slot] = Handover(delivery, kind, now)
        self.windows[kind].held += 1
        return slot

    def end(self, outcomes: Sequence[tuple[int, Outcome]]) -> list[tuple[Delivery, Outcome]]:
        """The child has ended these; returns those that were still its own."""
        now = time.monotonic()
        ended: list[tuple[Delivery, Outcome]] = []
        slowest: dict[Kind, tuple[int, float]] = {}
        for slot, outcome in outcomes:
            self._free.append(slot)
            if slot in self._withdrawn:
                self._withdrawn.remove(slot)
                continue
            delivery, kind, at = self.calls.pop(slot)
            count, longest = slowest.get(kind, (0, 0.0))
            slowest[kind] = (count + 1, max(longest, now - at))
            ended.append((delivery, outcome))
        for kind, (count, longest) in slowest.items():
            self.windows[kind].ended(count, longest)
        self.ended += len(ended)
        return ended

    def recalled(self, slots: Iterable[int]) -> list[tuple[Delivery, Kind]]:
        """The child gives these back unstarted; returns those that were still its own."""
        back: list[tuple[Delivery, Kind]] = []
        for slot in slots:
            self._free.append(slot)
            if slot in self._withdrawn:
                self._withdrawn.remove(slot)
            else:
                back.append(self._take_back(slot))
        return back

    def withdraw(self) -> dict[int, Handover]:
        """See to it that what has not started will not; returns it by slot. See `taken_back`."""
        calls = {slot: self.calls[slot] for slot in self.unstarted()}
        for slot in calls:
            self.cell.withdraw(slot)
        return calls

    def taken_back(self, withdrawn: Mapping[int, Handover]) -> list[tuple[Delivery, Kind]]:
        """Of what was withdrawn `SEEN` seconds ago, take what had not started by then.

        A slot that the child has spoken of meanwhile may be that of another call by now.
        """
        sure = [
            slot
            for slot, call in withdrawn.items()
            if self.calls.get(slot) is call and not self.cell.since(slot)
        ]
        self._withdrawn.update(sure)
        return [self._take_back(slot) for slot in sure]

    def _take_back(self, slot: int) -> tuple[Delivery, Kind]:
        delivery, kind, _ = self.calls.pop(slot)
        self.windows[kind].given_back()
        return delivery, kind

    # -- looking --------------------------------------------------------------------------

    def unstarted(self) -> list[int]:
        """The slots of what waits in the child."""
        return [slot for slot in self.calls if not self.cell.since(slot)]

    def running(self) -> Iterator[tuple[int, Handover, float]]:
        """What runs: its slot, what it is, and since when."""
        for slot, call in self.calls.items():
            if since := self.cell.since(slot):
                yield slot, call, since

    def named(self, lost: Iterable[Fence]) -> list[int]:
        """The slots of these attempts, and of earlier ones of the same jobs."""
        newest = {fence.id: fence.attempt for fence in lost}
        return [
            slot
            for slot, call in self.calls.items()
            if call.delivery.fence.attempt <= newest.get(call.delivery.fence.id, 0)
        ]
