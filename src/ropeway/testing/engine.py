"""The engine of a sandbox: a worker's own parts, run one step at a time, and the clock."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Sequence

import msgspec

from ropeway.backends.memory import MemoryBackend
from ropeway.claims import Claim
from ropeway.clock import ManualClock
from ropeway.errors import Stuck
from ropeway.message import JOB_PREFIX, JobRecord, job_key
from ropeway.pauses import paused
from ropeway.schedules.declaring import bring_into_force
from ropeway.schedules.record import DUE, due_at
from ropeway.store import Backend
from ropeway.testing.faults import Script
from ropeway.testing.simulated import SimulatedWorker
from ropeway.testing.waits import Parked
from ropeway.topics.delivery import Handler
from ropeway.topics.handing import hand_out
from ropeway.worker.locate import Application
from ropeway.worker.schedule import Scheduler

_LEAP = 1e-6
"""Seconds that a leap of the clock goes too far, for a date in floating point is only so fine."""

_CLOSE = 0.001
"""Seconds within which two instants are one: leaps add up, and an hour of them is still an hour."""

_LONGEST_IDLE = 3600.0
"""Seconds that may pass for tasks that wait, without anything else to happen."""

_decode_job = msgspec.msgpack.Decoder(JobRecord).decode


class Engine:
    """Claims what is due, one message at a time, runs it, and settles it, on one event loop.

    `memory` holds everything; `backend` is the same behind faults and a recorder. At most
    `concurrency` calls run at once, not counting those that wait for others.
    """

    def __init__(
        self,
        app: Application,
        memory: MemoryBackend,
        backend: Backend,
        clock: ManualClock,
        script: Script,
        parked: Parked,
        *,
        concurrency: int,
        patience: float,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.parked, parked.changed = parked, self._changed_somewhere
        self._app, self._memory, self._backend = app, memory, backend
        self._clock, self._script = clock, script
        self._concurrency, self._patience = concurrency, patience
        self._changed, self._lock = asyncio.Event(), asyncio.Lock()
        self._numbers = itertools.count(1)
        self._worker = self._another()
        self._silent: list[SimulatedWorker] = []
        self._scheduler = Scheduler(backend, "sandbox")
        self._declared = False
        self._queues: list[str] = []
        self._begun: list[str] = []

    # -- what a test asks for -------------------------------------------------------------

    async def run(self, limit: float = math.inf) -> list[str]:
        """Run what is due, at most `limit` attempts; returns whose they were, in order."""
        async with self._lock:
            return await self._run(limit)

    async def advance(self, seconds: float, *, while_open: bool = False) -> list[str]:
        """Let time pass, and run what becomes due on the way, in order; returns whose turns came.

        With `while_open` only until nothing is left that could run.
        """
        async with self._lock:
            end = self._clock.boot() + seconds
            begun = await self._run()
            while (left := end - self._clock.boot()) > 0:
                ahead = await self._next_event()
                if while_open and ahead == math.inf:
                    break
                ahead = min(ahead, await self._next_tick() + _LEAP)
                await self._pass(ahead if ahead <= left + _CLOSE else left)
                begun += await self._run()
            await self._worker.work.pruner.run_once()
            return begun

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        """Do what makes one of `names` change, within `timeout` seconds of the sandbox's clock."""
        async with self._lock:
            end, since, idle = self._clock.boot() + timeout, time.monotonic(), self._clock.boot()
            while not (found := await self._memory.wait(names, 0)):
                if time.monotonic() - since > self._patience:
                    raise await self._stuck(names, f"not after {self._patience:g} s of work")
                if await self._step():
                    idle = self._clock.boot()
                    continue
                ahead = await self._next_event()
                if ahead == math.inf or self._is_idle_since(idle):
                    raise await self._stuck(names, "nothing is left that could change that")
                ahead = min(ahead, await self._next_tick() + _LEAP)
                if (left := end - self._clock.boot()) <= 0:
                    break
                await self._pass(min(left, ahead))
            return found

    def close(self) -> None:
        """Stop what still runs, as far as it can be, unless its event loop does not run any more."""
        for worker in (self._worker, *self._silent):
            worker.places.stop(interrupt=self.loop.is_running())

    async def aclose(self) -> None:
        """The same, and do what the app wants done at the end of a process."""
        self.close()
        for worker in (self._worker, *self._silent):
            await worker.end()

    @property
    def idle(self) -> bool:
        """Whether nothing runs."""
        return self._busy() == 0

    # -- one step at a time ---------------------------------------------------------------

    async def _run(self, limit: float = math.inf) -> list[str]:
        first = len(self._begun)
        while len(self._begun) - first < limit and (await self._step() or self._busy()):
            if self._active() == 0:
                await self._finish()
        await self._finish()
        return self._begun[first:]

    async def _step(self) -> bool:
        """Do one thing; False if nothing can be done until time passes."""
        await self._begin()
        if await self._settle():
            return True
        if await self._hand_out():
            return True
        if self._active() < self._concurrency and await self._claim():
            return True
        if self._active() > 0:
            await self._wait_for_change()
            return True
        return self.parked.shake() or await self._thaw()

    async def _begin(self) -> None:
        """Do what a worker does first, and fire what is due."""
        await self._worker.begin()
        if not self._declared:
            self._declared = True
            await bring_into_force(self._memory, self._app.schedules.declared, "sandbox")
        if await self._next_tick() <= 0:
            await self._scheduler.run_once()

    async def _next_tick(self) -> float:
        """Return in how many seconds a schedule is due; inf if none is."""
        first = await self._memory.scan(DUE, limit=1)
        return due_at(first[0].key)[0] - self._clock.now() if first else math.inf

    async def _finish(self) -> None:
        """Let everything that runs come to its end, and run what it waits for."""
        idle = self._clock.boot()
        while self._busy():
            if self._active() > 0:
                await self._wait_for_change()
            elif await self._step():
                idle = self._clock.boot()
            elif self._is_idle_since(idle):
                raise Stuck(
                    f"{', '.join(self._running())}: waits for what will never come",
                    hint="look at what it waits for: everything that is due was run",
                )
            else:
                # Only tasks that wait are left: for them time passes.
                ahead = await self._next_event()
                await self._pass(min(ahead, await self._next_tick() + _LEAP))
        await self._settle()

    def _is_idle_since(self, idle: float) -> bool:
        return self._busy() > 0 and self._clock.boot() - idle > _LONGEST_IDLE

    async def _hand_out(self) -> bool:
        """Make jobs of the events that subscriptions have not read; False if there are none."""
        topics = self._app.topics
        handed = [
            await hand_out(self._backend, each, Handler(task))
            for each in topics.subscribed
            if (task := topics.task_of(each.task)) is not None
        ]
        return any(handed)

    async def _claim(self) -> bool:
        """Claim the next message of the next queue that has one."""
        if await self._claim_from(self._queues):
            return True
        known = [each.queue for each in await self._memory.stats()]
        new = [queue for queue in known if queue not in self._queues]
        self._queues = known
        return await self._claim_from(new)

    async def _claim_from(self, queues: Sequence[str]) -> bool:
        closed, worker = await paused(self._memory), self._worker
        for number in range(len(queues)):
            queue = queues[(len(self._begun) + number) % len(queues)]
            if queue in closed:
                continue
            claims = [Claim(queue, 1)]
            deliveries = await self._backend.receive(claims, worker.holder, worker.lease)
            if deliveries:
                self._begun.append(deliveries[0].fence.id)
                await worker.take(deliveries, self._clock.now())
                if worker.frozen:
                    self._silent.append(worker)
                    self._worker = self._another()
                return True
        return False

    async def _settle(self) -> int:
        """Settle all that has ended; returns how many."""
        speaking = [each for each in (self._worker, *self._silent) if not each.frozen]
        return sum([await each.settle() for each in speaking])

    async def _thaw(self) -> bool:
        """Let a frozen worker speak whose attempts are over for all others."""
        for worker in self._silent:
            if worker.frozen and not worker.lost and await self._superseded(worker):
                worker.thaw()
                return True
        return False

    async def _superseded(self, worker: SimulatedWorker) -> bool:
        jobs = {each.id: await self._job(each.id) for each in worker.held.fences()}
        return not any(
            job is not None and job.attempt <= fence.attempt
            for fence in worker.held.fences()
            if (job := jobs[fence.id])
        )

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(self._patience):
                await self._changed.wait()
        except TimeoutError:
            raise Stuck(
                f"a task has been running for {self._patience:g} s: {', '.join(self._running())}",
                hint="replace what it waits for, or give it longer: app.testing(patience=...)",
            ) from None

    # -- time -----------------------------------------------------------------------------

    async def _next_event(self) -> float:
        """Return in how many seconds something may happen; inf if nothing ever will."""
        closed = await paused(self._memory)
        queues = [queue for queue in self._queues if queue not in closed]
        waits = [await self._memory.ready_in([Claim(queue, 1)]) for queue in queues]
        waits.append(self.parked.first() - self._clock.boot())
        # What is due and was not claimed waits for something else than time.
        soonest = min((wait for wait in waits if wait > 0), default=math.inf) + _LEAP
        # What runs keeps its lease, as it would while a real worker lives.
        return min(soonest, self._worker.lease / 3) if len(self._worker.held) else soonest

    async def _pass(self, seconds: float) -> None:
        self._clock.advance(seconds)
        if len(self._worker.held):
            await self._worker.renewer.run_once()
        while self.parked.first() <= self._clock.boot():
            await self._wait_for_change()

    # -- who runs -------------------------------------------------------------------------

    def _another(self) -> SimulatedWorker:
        holder = f"sandbox-{next(self._numbers)}"
        return SimulatedWorker(self._app, self._backend, self._script, holder, self._changed.set)

    def _busy(self) -> int:
        return sum(worker.places.busy for worker in (self._worker, *self._silent))

    def _active(self) -> int:
        return self._busy() - self.parked.resting

    def _running(self) -> list[str]:
        places = [worker.places for worker in (self._worker, *self._silent)]
        return sorted({name for each in places for name in each.running()})

    def _changed_somewhere(self) -> None:
        """A task has begun to wait or goes on, in whatever thread it runs."""
        self.loop.call_soon_threadsafe(self._changed.set)

    async def _stuck(self, names: Sequence[str], why: str) -> Stuck:
        keys = [name for name in names if name.startswith(JOB_PREFIX)]
        told = [await self._state(key) for key in keys] or list(names)
        closed = ", ".join(await paused(self._memory))
        return Stuck(
            f"{'; '.join(told)}, and {why}",
            hint=f"these queues are paused: {closed}" if closed else "see sandbox.history(job)",
        )

    async def _state(self, key: str) -> str:
        job = await self._job(key.removeprefix(JOB_PREFIX))
        if job is None:
            return f"nothing is kept of {key}"
        return f"job {job.message.id} ({job.message.task}) is {job.state}"

    async def _job(self, job_id: str) -> JobRecord | None:
        (record,) = await self._memory.get([job_key(job_id)])
        return _decode_job(record.value) if record else None
