"""A worker inside the process that asks for it: for tests, notebooks and small deployments."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ropeway import lifeline, topology
from ropeway.capabilities import require
from ropeway.control import bell
from ropeway.limiting import bring_into_force
from ropeway.message import Delivery, Kind, Outcome
from ropeway.schedules import declaring
from ropeway.schedules.record import STAMP
from ropeway.store import Backend
from ropeway.topics.declaring import declare_subscriptions, declare_topics
from ropeway.worker.code import code_digest
from ropeway.worker.frames import own_tasks
from ropeway.worker.hands import told_of
from ropeway.worker.held import Held
from ropeway.worker.local import LocalPlaces
from ropeway.worker.locate import Application
from ropeway.worker.orders import Orders
from ropeway.worker.registry import Registry
from ropeway.worker.renewing import RenewingThread
from ropeway.worker.reporting import Reporter, Serves
from ropeway.worker.schedule import Scheduler
from ropeway.worker.steward import Steward
from ropeway.worker.told import verbs
from ropeway.worker.work import Work

log = logging.getLogger("ropeway.worker")


class EmbeddedWorker:
    """Works on the running event loop, from `async with` to its end; or alone, in `run`.

    A weaker mode than a worker of its own: a task that kills its process takes the program with
    it, and one that never stops cannot be killed. What may have done so runs beside nothing else.
    Leases are renewed on a thread of their own, so that a blocked event loop loses none; code that
    holds the interpreter's lock still can.
    """

    def __init__(
        self,
        app: Application,
        *,
        queues: Sequence[str] | None,
        slots: Mapping[Kind, int],
        offers: Mapping[str, int],
    ) -> None:
        self._app, self._queues, self._slots, self._offers = app, queues, slots, offers
        self._orders = Orders()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._working: asyncio.Task[int] | None = None
        self._worked: Work | None = None

    def run(self) -> int:
        """Work in this thread until `stop`, SIGTERM or SIGINT; returns the exit code of a worker."""
        return asyncio.run(self._run())

    def stop(self, *, now: bool = False) -> None:
        """Let what runs finish for `grace` seconds, or give it back `now`. From any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._orders.stop_now if now else self._orders.stop.set)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        self._working = asyncio.create_task(self._work(ready))
        self._working.add_done_callback(lambda _: ready.set())
        await ready.wait()
        if self._working.done():
            self._working.result()  # raises what kept it from starting
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._orders.stop.set()
        if self._working is not None:
            await self._working

    async def _run(self) -> int:
        loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._orders.ask_to_stop)
        async with self:
            assert self._working is not None
            return await asyncio.shield(self._working)

    def _ended(self, ended: list[tuple[Delivery, Outcome]]) -> None:
        assert self._worked is not None
        self._worked.ended(ended)

    async def _work(self, ready: asyncio.Event) -> int:
        app, held = self._app, Held(self._offers)
        holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        backend = app.connection.looped()
        alive: int | None = None
        places: LocalPlaces | None = None
        try:
            require(backend.capabilities, "store", "a worker inside another program")
            await backend.open()
            path = await backend.lifeline(holder)
            alive = None if path is None else lifeline.join(path)
            await bring_into_force(backend, app.limits.declared.values())
            routes = app.exchanges
            await topology.declare(backend, routes.declared, routes.bindings, routes.queues)
            await declaring.bring_into_force(backend, app.schedules.declared, _program())
            await declare_topics(backend, app.topics.records)
            await declare_subscriptions(backend, app.topics.subscribed)
            places = LocalPlaces(app, self._slots, self._ended, backend)
            await places.begin()
            return await self._at_work(backend, places, held, holder, ready)
        finally:
            if places is not None:
                await places.close(kill=True)
            # What is still running keeps the proof that this worker is not dead.
            if alive is not None and not (places is not None and places.busy):
                os.close(alive)
            await backend.close()

    async def _at_work(
        self,
        backend: Backend,
        places: LocalPlaces,
        held: Held,
        holder: str,
        ready: asyncio.Event,
    ) -> int:
        app, queues = self._app, None if self._queues is None else tuple(self._queues)
        tasks = told_of(app)
        serves = Serves(app=_program(), queues=queues, offers=dict(self._offers))
        reporter = Reporter(holder, serves, places, self._orders, held)
        reporter.tasks = {name: each.digest for name, each in own_tasks(tasks).items()}
        reporter.code = code_digest(app)
        obeyed = verbs(self._orders, reporter)
        registry = Registry(backend, holder, reporter.record, reporter.changing, obeyed)
        scheduler = Scheduler(backend, holder)
        bells = {bell(holder): registry.ring, STAMP: scheduler.ring}
        lease, interrupt = app.settings.lease, places.interrupt
        renewer = RenewingThread(app.connection, held, holder, lease, interrupt, bells)
        work = self._worked = reporter.work = Work(
            backend,
            places,
            renewer,
            held,
            tasks,
            app.settings,
            holder=holder,
            queues=queues,
            beside={
                "the loop that registers": registry,
                "the loop that schedules": scheduler,
                "the loop that keeps topics": Steward(backend, app.topics.subscribed),
            },
        )
        self._orders.on_quiet = work.fetcher.rest
        log.info("worker %s inside this process, %d tasks", holder, len(app.tasks))
        ready.set()
        code = await work.run(self._orders.stop, self._orders.now)
        if not work.unanswered:
            await registry.leave()
        return code


def _program() -> str:
    """Say which program this worker is inside of."""
    name = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else ""
    return f"(inside {name or 'python'})"
