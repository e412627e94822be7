"""Children that hold one call each: for calls that may have killed the processes they ran in."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque

from ropeway.message import Delivery, Fence, Kind, Outcome
from ropeway.worker.blame import INTERRUPTED
from ropeway.worker.crew import Crew, StartFailed
from ropeway.worker.places import OnEnded
from ropeway.worker.process import ChildProcess

log = logging.getLogger("ropeway.worker")

_LINGER = 10.0
"""Seconds that a child without a call is kept for the next one."""

_KEPT = 3.0
"""Seconds that the ward takes nobody after it refused one that has to be alone in it."""

_PACE, _LONGEST_PAUSE = 0.02, 2.0
"""Seconds between two of those who have to come again, and the longest that one has to wait."""


class Ward:
    """At most `beds` calls at once, each in a child that holds nothing else.

    As many wait in line, and no more: should the worker die, whoever it holds is charged. The
    others are given back, and come again one after the other.
    One that has been charged before is neither run nor held beside any other: if it takes the whole
    worker down, nobody else in the ward is charged with that again and again. While it waits for
    the ward to be empty, nobody else is admitted.
    """

    def __init__(self, crew: Crew, beds: int, on_ended: OnEnded) -> None:
        self._crew, self._beds, self._tell = crew, beds, on_ended
        self._line: deque[tuple[Delivery, Kind]] = deque()
        self._starting: set[asyncio.Task[None]] = set()
        self._idle_since: dict[ChildProcess, float] = {}
        self._kept_until = self._next_turn = 0.0
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many calls wait for a child."""
        return len(self._line)

    def admit(self, delivery: Delivery, kind: Kind) -> None:
        """Run a call in a child of its own, or give it back to come again later."""
        if self._may_enter(delivery):
            self._line.append((delivery, kind))
            self.seat()
        else:
            self._tell([(delivery, self._again())])

    def _may_enter(self, delivery: Delivery) -> bool:
        now = time.monotonic()
        inside = [
            call.delivery for child in self._crew.members for call in child.handed.calls.values()
        ]
        inside += [waiting for waiting, _ in self._line]
        if delivery.losses:
            allowed = not inside
            self._kept_until = 0.0 if allowed else now + _KEPT
        else:
            crowded = len(inside) >= 2 * self._beds or any(each.losses for each in inside)
            allowed = not crowded and now >= self._kept_until
        return allowed and not self._closed

    def _again(self) -> Outcome:
        now = time.monotonic()
        self._next_turn = min(max(now, self._next_turn) + _PACE, now + _LONGEST_PAUSE)
        return Outcome(ending="interrupted", after=self._next_turn - now)

    def seat(self) -> None:
        """Hand the line to the children that are free, and start those that are missing."""
        for child in self._crew.working:
            if self._line and not child.busy:
                child.run([self._line.popleft()])
        there = sum(not child.leaving for child in self._crew.members if child.proven)
        wanted = min(len(self._line), self._beds - there)
        while not self._closed and wanted > len(self._starting):
            task = asyncio.create_task(self._start())
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    def drop(self, lost: frozenset[Fence]) -> None:
        """These are wanted no more: what still waits is not run."""
        unwanted = [each for each in self._line if each[0].fence in lost]
        for each in unwanted:
            self._line.remove(each)
        self._tell([(delivery, INTERRUPTED) for delivery, _ in unwanted])

    def look(self, now: float) -> None:
        """Replace a child that died, and end those that nobody has needed for a while."""
        self.seat()
        idle = [child for child in self._crew.working if not child.busy]
        self._idle_since = {child: self._idle_since.get(child, now) for child in idle}
        for child, since in self._idle_since.items():
            if now - since > _LINGER:
                child.leaving = True
                child.close()

    def close(self) -> None:
        """Give back what waits, and start nothing more."""
        self._closed = True
        for task in self._starting:
            task.cancel()
        self._give_back(INTERRUPTED)

    async def _start(self) -> None:
        try:
            await self._crew.one_more()
        except (StartFailed, OSError) as error:
            if not self._closed:
                log.warning("no child can be started for a call that runs alone: %s", error)
            self._give_back(Outcome(ending="interrupted", after=_LONGEST_PAUSE))
        else:
            self.seat()

    def _give_back(self, outcome: Outcome) -> None:
        line = list(self._line)
        self._line.clear()
        self._tell([(delivery, outcome) for delivery, _ in line])
