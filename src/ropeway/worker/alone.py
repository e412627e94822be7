"""Calls that run alone in a process that has no others to run them in: beside nothing, one by one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterator

from ropeway.context import Waits
from ropeway.errors import RopewayError
from ropeway.message import Delivery, Fence, Kind, Outcome, solo_key, solo_mark
from ropeway.store import Backend
from ropeway.transition import Put, Transition
from ropeway.worker.blame import INTERRUPTED
from ropeway.worker.places import OnEnded

log = logging.getLogger("ropeway.worker")

PATIENCE = 30.0
"""Seconds that one waits for the others to end: meanwhile none begins beside it."""

_LATER = Outcome(ending="interrupted", after=2.0)
"""What becomes of those that wait for others that do not end."""

MARK_KEPT = 7 * 86_400.0


async def begun_alone(backend: Backend, fence: Fence) -> bool:
    """Have it on record that this attempt begins to run alone; False if it may not run."""
    mark = Put(solo_key(fence.id), solo_mark(fence.attempt), ttl=MARK_KEPT)
    try:
        (answer,) = await backend.commit([Transition(fence=fence, put=(mark,))])
    except RopewayError as error:
        log.warning("job %s cannot begin to run alone: %s", fence.id, error.fact)
        return False
    return answer.ok


class Alone:
    """A line of calls that each run when nothing else does; `begin` runs one.

    `company` tells how many calls run, and `on_ended` hears of what is given back, and when there
    is room again. While `wanted`, nobody else may begin.
    """

    def __init__(
        self,
        backend: Backend,
        company: Callable[[], int],
        begin: Callable[[Delivery, Kind], None],
        on_ended: OnEnded,
    ) -> None:
        self._backend, self._company = backend, company
        self._begin, self._tell = begin, on_ended
        self._line: deque[tuple[Delivery, Kind]] = deque()
        self._beginning: Delivery | None = None
        self._driver: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def wanted(self) -> bool:
        """Whether a call waits to run alone, or does."""
        return self._driver is not None

    @property
    def waiting(self) -> int:
        """How many calls have not begun."""
        return len(self._line) + (self._beginning is not None)

    def admit(self, delivery: Delivery, kind: Kind) -> None:
        """Run a call when it is its turn, or give it back to come again later."""
        if self._closed:
            self._tell([(delivery, INTERRUPTED)])
            return
        self._line.append((delivery, kind))
        if self._driver is None:
            self._driver = asyncio.create_task(self._drive())

    def ended(self) -> None:
        """Hear that a call has ended."""
        self._changed.set()

    def drop(self, lost: frozenset[Fence]) -> None:
        """These are wanted no more: what still waits is not run."""
        unwanted = [each for each in self._line if each[0].fence in lost]
        for each in unwanted:
            self._line.remove(each)
        self._tell([(delivery, INTERRUPTED) for delivery, _ in unwanted])

    def close(self) -> None:
        """Give back what waits, and begin nothing more."""
        self._closed = True
        self._give_back(INTERRUPTED)
        if self._driver is not None:
            self._driver.cancel()

    async def _drive(self) -> None:
        try:
            while self._line and await self._emptied(PATIENCE):
                if await self._next():
                    # It may take days; others need not wait for it here.
                    self._give_back(_LATER)
                    await self._emptied(None)
        finally:
            self._driver = None
            self._give_back(_LATER)

    async def _next(self) -> bool:
        if not self._line:
            return False  # it has been taken back meanwhile
        delivery, kind = self._line.popleft()
        self._beginning, begins = delivery, False
        try:
            begins = await begun_alone(self._backend, delivery.fence) and not self._closed
        finally:
            self._beginning = None
            if begins:
                self._begin(delivery, kind)
            else:
                self._tell([(delivery, INTERRUPTED)])
        return begins

    async def _emptied(self, patience: float | None) -> bool:
        """Wait until nothing runs; False if that takes too long."""
        try:
            async with asyncio.timeout(patience):
                while self._company():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _give_back(self, outcome: Outcome) -> None:
        line = list(self._line)
        self._line.clear()
        self._tell([(delivery, outcome) for delivery, _ in line])


class Lending(Waits):
    """Lets others run while a call that runs alone waits for one of them: `changed` hears of it."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(0)
        self._changed = changed
        self._lent = 0

    @property
    def lent(self) -> bool:
        """Whether it waits."""
        return self._lent > 0

    @contextlib.contextmanager
    def waiting(self, fence: Fence, job_id: str) -> Iterator[None]:
        with self._lock:
            self._lent += 1
        self._changed()
        try:
            yield
        finally:
            with self._lock:
                self._lent -= 1
