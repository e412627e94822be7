"""Children that hold one call each: for calls that may have killed the processes they ran in."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from typing import Any

from ropeway.message import Delivery, Fence, Kind, Outcome
from ropeway.store import Backend
from ropeway.worker.alone import begun_alone
from ropeway.worker.blame import INTERRUPTED
from ropeway.worker.crew import Crew, StartFailed
from ropeway.worker.places import OnEnded
from ropeway.worker.process import ChildProcess

log = logging.getLogger("ropeway.worker")

_LINGER = 10.0
"""Seconds that a child without a call is kept for the next one."""

_LONGEST_LINE = 100
_LATER = Outcome(ending="interrupted", after=2.0)
"""What becomes of a call that finds the line too long, or for which no child can be had."""

_BEDS_EACH = 4
"""Children here for each that shares its calls: most calls wait for others, and hardly use them."""


class Ward:
    """Some calls at once, each in a child that holds nothing else; the others wait in line.

    That a call begins is on record before its code runs, so that whoever waits here when the worker
    dies is not charged with that. One that has been charged before is run beside no other: if it
    takes the whole worker down, nobody else in the ward is charged with that again and again.
    """

    def __init__(self, crew: Crew, children: int, on_ended: OnEnded) -> None:
        self._crew, self._children, self._tell = crew, children, on_ended
        self._backend: Backend | None = None
        self._line: deque[tuple[Delivery, Kind]] = deque()
        self._beginning: dict[ChildProcess, Delivery] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = 0
        self._idle_since: dict[ChildProcess, float] = {}
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many calls no child has yet."""
        return len(self._line) + len(self._beginning)

    def serve(self, backend: Backend) -> None:
        """Have it on record in `backend` that a call begins."""
        self._backend = backend

    def admit(self, delivery: Delivery, kind: Kind) -> None:
        """Run a call in a child of its own, or give it back to come again later."""
        if self._closed or len(self._line) >= _LONGEST_LINE:
            self._tell([(delivery, _LATER)])
        else:
            self._line.append((delivery, kind))
            self.seat()

    def seat(self) -> None:
        """Give the first in line to the children that are free, and start those that are missing."""
        while not self._closed and self._line and self._may_begin(self._line[0][0]):
            free = [each for each in self._crew.working if not each.busy]
            child = next((each for each in free if each not in self._beginning), None)
            if child is None:
                break
            delivery, kind = self._line.popleft()
            self._beginning[child] = delivery
            self._spawn(self._begin(child, delivery, kind))
        there = sum(not child.leaving for child in self._crew.members if child.proven)
        # A few at a time: many of those who wait are done before the others are there.
        wanted = min(len(self._line), _BEDS_EACH * self._children - there, self._children)
        while not self._closed and wanted > self._starting:
            self._starting += 1
            self._spawn(self._start())

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
            if now - since > _LINGER and child not in self._beginning:
                child.leaving = True
                child.close()

    def close(self) -> None:
        """Give back what waits, and start nothing more."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        self._give_back(INTERRUPTED)

    def _may_begin(self, delivery: Delivery) -> bool:
        inside = [*self._beginning.values()]
        for child in self._crew.members:
            inside += [call.delivery for call in child.handed.calls.values()]
        return not inside or not (delivery.losses or any(each.losses for each in inside))

    async def _begin(self, child: ChildProcess, delivery: Delivery, kind: Kind) -> None:
        assert self._backend is not None
        begins = False
        try:
            begins = await begun_alone(self._backend, delivery.fence)
        finally:
            del self._beginning[child]
            if begins and child.working and not self._closed:
                child.run([(delivery, kind)])
            else:
                self._tell([(delivery, INTERRUPTED)])

    async def _start(self) -> None:
        try:
            await self._crew.one_more()
        except (StartFailed, OSError) as error:
            if not self._closed:
                log.warning("no child can be started for a call that runs alone: %s", error)
            self._give_back(_LATER)
        finally:
            self._starting -= 1
        self.seat()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _give_back(self, outcome: Outcome) -> None:
        line = list(self._line)
        self._line.clear()
        self._tell([(delivery, outcome) for delivery, _ in line])
