"""The loop that watches the children: who overruns, who starts nothing, who is worn out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from ropeway.message import Fence, Kind, Outcome
from ropeway.worker import memory
from ropeway.worker.crew import Crew
from ropeway.worker.frames import TaskInfo
from ropeway.worker.handed import Handover
from ropeway.worker.limits import Wear, excess, far_beyond, hard_limit, overrun, worn
from ropeway.worker.process import ChildProcess
from ropeway.worker.ticks import until
from ropeway.worker.ward import Ward

log = logging.getLogger("ropeway.worker")

_PERIOD, _IDLE_PERIOD = 0.1, 1.0
"""Seconds between two looks, while calls run and while none does."""

_BEHIND = 0.2
"""Seconds in which a child ends no call of a kind, has no slot free, and holds more of them."""

_STUCK = 1.0
"""Seconds in which it has slots free and starts nothing: its loop is blocked, maybe not for long."""


class Watch:
    """Looks at every child ten times a second, from outside: it may be blocked.

    While no call runs the looks are rare, until `handed` is set.
    """

    def __init__(
        self,
        crews: Sequence[Crew],
        ward: Ward,
        tasks: Mapping[str, TaskInfo],
        grace: float,
        wear: Wear,
        handed: asyncio.Event,
    ) -> None:
        self._crews, self._ward, self._tasks = crews, ward, tasks
        self._grace, self._wear = grace, wear
        self._handed = handed
        self._condemned_at: dict[ChildProcess, float] = {}

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self._rest()
            try:
                self.run_once()
            except Exception:
                log.exception("a look at the children failed")

    async def _rest(self) -> None:
        if not (
            self._ward.waiting or any(each.busy for crew in self._crews for each in crew.members)
        ):
            self._handed.clear()
            try:
                async with asyncio.timeout(until(_IDLE_PERIOD)):
                    await self._handed.wait()
            except TimeoutError:
                return
        await asyncio.sleep(_PERIOD)

    def run_once(self) -> None:
        """Look at every child, and do what has to be done."""
        now = time.monotonic()
        self._ward.look(now)
        for crew in self._crews:
            for child in list(crew.members):
                if child.proven and not child.stopping:
                    self._look(crew, child, now)
        self._condemned_at = {
            child: at for child, at in self._condemned_at.items() if not child.stopping
        }

    def _look(self, crew: Crew, child: ChildProcess, now: float) -> None:
        if child.busy:
            self._find_overruns(crew, child, now)
            self._find_stuck(child, now)
        elif child.retired:
            child.close()
        if not child.stopping:
            self._find_worn(crew, child, now)

    # -- calls that take too much ---------------------------------------------------------

    def _find_overruns(self, crew: Crew, child: ChildProcess, now: float) -> None:
        for slot, call, since in child.handed.running():
            if slot not in child.condemned:
                outcome = self._judge(child, call, now, since)
                if outcome is not None:
                    self._condemn(crew, child, slot, outcome, now)
        left = child.handed.calls.keys()
        due = left & child.condemned.keys()
        if due and (due == left or now - self._condemned_at[child] >= self._grace):
            child.kill()

    def _judge(
        self, child: ChildProcess, call: Handover, now: float, since: float
    ) -> Outcome | None:
        message = call.delivery.message
        terms = self._tasks[message.task].terms
        outcome = overrun(hard_limit(message.terms, terms, self._grace), now - since)
        if outcome is None and terms.memory is not None and call.kind == "cpu":
            outcome = excess(terms.memory, memory.resident(child.pid))
        if outcome is None and child.unwanted:
            outcome = _disobeying(child.unwanted, call.delivery.fence, call.kind, now)
        return outcome

    def _condemn(
        self, crew: Crew, child: ChildProcess, slot: int, outcome: Outcome, now: float
    ) -> None:
        call = child.handed.calls[slot].delivery.message
        why = outcome.error.message if outcome.error else "it does not stop when it is told to"
        log.warning("child %d is to end for job %s (%s): %s", child.pid, call.id, call.task, why)
        child.condemned[slot] = outcome
        self._condemned_at.setdefault(child, now)
        crew.replace(child, now=True)

    # -- children that start nothing ------------------------------------------------------

    @staticmethod
    def _find_stuck(child: ChildProcess, now: float) -> None:
        if child.stuck:
            return
        waiting = [child.handed.calls[slot] for slot in child.handed.unstarted()]
        for kind, count in Counter(each.kind for each in waiting).items():
            window = child.handed.windows[kind]
            first = min(each.at for each in waiting if each.kind == kind)
            blocked = window.held - count < window.slots
            if now - max(first, window.moved) > (_STUCK if blocked else _BEHIND):
                child.stuck |= blocked
                child.recall_soon()

    # -- children that are worn out -------------------------------------------------------

    def _find_worn(self, crew: Crew, child: ChildProcess, now: float) -> None:
        wear = self._wear
        size = memory.resident(child.pid) if wear.memory is not None else 0
        if far_beyond(wear, size):
            child.kill_for(f"was ended: it took {size:,} bytes, far beyond --max-memory")
        elif not child.leaving:
            why = worn(wear, child.handed.ended, now - child.started_at, size)
            if why:
                log.info("child %d is to be replaced: %s", child.pid, why)
                crew.replace(child, now=False)


_OBEY: dict[Kind, float] = {"cpu": 0.5, "loop": 5.0, "threads": 5.0}
"""Seconds from an interrupt to the end of the call; one that takes longer does not obey."""


def _disobeying(
    unwanted: Mapping[Fence, float], fence: Fence, kind: Kind, now: float
) -> Outcome | None:
    asked = unwanted.get(fence)
    if asked is None or now - asked < _OBEY[kind]:
        return None
    return Outcome(ending="interrupted")
