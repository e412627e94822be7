"""A worker whose loops are run once at a time, by whoever holds the clock."""

from __future__ import annotations

from collections.abc import Callable

from ropeway.message import Delivery, Kind, Outcome
from ropeway.store import Backend
from ropeway.testing.faults import Script, instead_of, runs
from ropeway.worker.frames import TaskInfo
from ropeway.worker.hands import told_of
from ropeway.worker.held import Held
from ropeway.worker.local import LocalPlaces
from ropeway.worker.locate import Application
from ropeway.worker.renew import Renewer
from ropeway.worker.work import Work

SLOTS: dict[Kind, int] = {"loop": 1000, "threads": 1000, "cpu": 1000}
"""Places are no limit here: how many calls run at once is for whoever claims them to say."""


class FaultyPlaces(LocalPlaces):
    """Runs calls in this process, but for what a script says of their attempts."""

    def __init__(
        self,
        app: Application,
        on_ended: Callable[[list[tuple[Delivery, Outcome]]], None],
        script: Script,
        silenced: Callable[[str], None],
    ) -> None:
        super().__init__(app, SLOTS, on_ended)
        self._script, self._silenced = script, silenced
        self._faults: dict[int, str] = {}

    def running(self) -> list[str]:
        """Return the names of the tasks that run."""
        return [delivery.message.task for delivery, _ in self._handed.values()]

    def stop(self, *, interrupt: bool) -> None:
        """Take no more calls, and `interrupt` those that run; waits for nothing."""
        if interrupt:
            self._hands.interrupt(list(self._handed))
        self._hands.close()

    def _start(self, slot: int, delivery: Delivery) -> None:
        fault = self._script.for_attempt(delivery)
        if fault is not None:
            self._faults[slot] = fault
        if fault in {"lease_lost", "machine_lost"}:
            self._silenced(fault)
        if runs(fault):
            super()._start(slot, delivery)
        else:
            self._ended(slot, Outcome(ending="interrupted"))

    def _ended(self, slot: int, outcome: Outcome) -> None:
        fault = self._faults.pop(slot, None)
        super()._ended(slot, outcome if fault is None else instead_of(fault, outcome))


class SimulatedWorker:
    """The parts of a worker, over a backend whose clock stands still. `changed` hears of every end.

    One that is `frozen` says nothing more: what has ended in it is kept until it is thawed. One that
    is `lost` never will be.
    """

    def __init__(
        self,
        app: Application,
        backend: Backend,
        script: Script,
        holder: str,
        changed: Callable[[], None],
    ) -> None:
        self.holder, self.lease = holder, app.settings.lease
        self.held = Held()
        self.frozen = self.lost = self._begun = False
        self._app, self._changed = app, changed
        self._silent: list[tuple[Delivery, Outcome]] = []
        self._tasks: dict[str, TaskInfo] = {}
        self.places = FaultyPlaces(app, self._ended, script, self._silence)
        self.renewer = Renewer(backend, self.held, holder, self.lease, self.places.interrupt)
        self.work = Work(
            backend,
            self.places,
            self.renewer,
            self.held,
            self._tasks,
            app.settings,
            holder=holder,
            queues=None,
        )

    async def take(self, deliveries: list[Delivery], now: float) -> None:
        """Run what was claimed for this worker. It knows of tasks that were registered meanwhile."""
        self._tasks.update(told_of(self._app))
        await self.work.fetcher.take(deliveries, now)

    async def begin(self) -> None:
        """Do what the app wants done before the first call. May be called again."""
        if not self._begun:
            self._begun = True
            await self.places.begin()

    async def end(self) -> None:
        """Do what it wants done after the last, if it has begun."""
        if self._begun:
            await self.places.end()

    async def settle(self) -> int:
        """Settle everything that has ended; returns how many."""
        count = 0
        while batch := await self.work.settler.run_once():
            count += batch
        return count

    def thaw(self) -> None:
        """Let it say how its attempts ended, long after others have taken them over."""
        self.frozen = False
        silent, self._silent = self._silent, []
        self.work.ended(silent)

    def _silence(self, fault: str) -> None:
        self.frozen, self.lost = True, fault == "machine_lost"

    def _ended(self, ended: list[tuple[Delivery, Outcome]]) -> None:
        if self.frozen:
            self._silent += ended
        else:
            self.work.ended(ended)
        self._changed()
