"""The supervisor: one process that owns all input and output, and never imports user code."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import secrets
import socket
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import msgspec

from ropeway import topology
from ropeway.capabilities import require
from ropeway.config import Settings
from ropeway.connect import Connection
from ropeway.control import bell
from ropeway.limiting import bring_into_force
from ropeway.message import Delivery, Outcome
from ropeway.schedules import declaring
from ropeway.schedules.record import STAMP
from ropeway.store import Backend
from ropeway.topics.declaring import declare_subscriptions, declare_topics
from ropeway.worker.crew import StartFailed
from ropeway.worker.fleet import Fleet
from ropeway.worker.frames import Manifest, own_tasks
from ropeway.worker.held import Held
from ropeway.worker.options import WorkerOptions
from ropeway.worker.orders import Orders
from ropeway.worker.patience import once_there
from ropeway.worker.registry import Registry
from ropeway.worker.renew import Renewer
from ropeway.worker.reporting import Reporter, Serves
from ropeway.worker.scale import Scaler
from ropeway.worker.schedule import Scheduler
from ropeway.worker.steward import Steward
from ropeway.worker.telling import telling
from ropeway.worker.told import log_stacks, verbs
from ropeway.worker.work import Loop, Work
from ropeway.wrappers.batched import Batched
from ropeway.wrappers.solo import Storeless

T = TypeVar("T")

log = logging.getLogger("ropeway.worker")


class Supervisor:
    """Starts the children, runs the loops, and stops them in order."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._orders = Orders()
        self._held = Held(dict(options.offers))
        self._fleet = Fleet(options, self._ended)
        serves = Serves(app=options.target, queues=options.queues, offers=dict(options.offers))
        self._reporter = Reporter(self._holder, serves, self._fleet, self._orders, self._held)
        self._orders.on_describe = self._describe
        self._work: Work | None = None
        self._code = 0
        self._in_vain = False

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT; returns the exit code.

        The first signal lets running jobs finish for `grace` seconds, a second one, or SIGQUIT,
        gives them back at once. Raises `ConfigError` if its health cannot be told as asked for.
        """
        self._orders.listen()
        async with telling(self._reporter, self._options, self._broken):
            try:
                manifest = await self._or_stop(self._fleet.start())
            except StartFailed as error:
                log.critical("%s", error)
                return error.exit_code
            else:
                code = await self._serve(manifest) if manifest else 0
                return code or self._code
            finally:
                await self._fleet.close(kill=True)

    async def _serve(self, manifest: Manifest) -> int:
        settings, fleet = msgspec.convert(manifest.settings, Settings), self._fleet
        backend = Connection.of(settings).looped(own=True)
        # What tasks of several children send in the same moment becomes one commit.
        shared = Batched(backend)
        try:
            await self._or_stop(once_there(lambda: self._prepare(backend, manifest)))
            if self._orders.stop.is_set():
                self._in_vain = True
                return 0
            fleet.serve(shared if backend.capabilities.store else Storeless(shared))
            self._greet(settings, manifest)
            self._reporter.code = manifest.code
            self._reporter.tasks = {
                name: each.digest for name, each in own_tasks(manifest.tasks).items()
            }
            return await self._at_work(backend, settings, manifest)
        finally:
            await fleet.close(kill=True)
            if not self.unanswered:
                await shared.close()

    async def _prepare(self, backend: Backend, manifest: Manifest) -> None:
        await backend.open()
        self._fleet.hold(await backend.lifeline(self._holder))
        require(backend.capabilities, "shared", "a worker of several processes")
        self._refuse_unkept(backend, manifest)
        await bring_into_force(backend, manifest.limits)
        await topology.declare(backend, manifest.exchanges, manifest.bindings, manifest.queues)
        await declaring.bring_into_force(backend, manifest.schedules, self._options.target)
        await declare_topics(backend, manifest.topics)
        await declare_subscriptions(backend, manifest.subscriptions)

    def _refuse_unkept(self, backend: Backend, manifest: Manifest) -> None:
        """Raise `Unsupported` for what the app declares and nobody would keep."""
        declared: dict[str, Sequence[object]] = {
            "a limit": manifest.limits,
            "an exchange": [*manifest.exchanges, *manifest.bindings],
            "a queue with options": manifest.queues,
            "a schedule": manifest.schedules,
            "a topic": [*manifest.topics, *manifest.subscriptions],
        }
        for what in (name for name, given in declared.items() if given):
            require(backend.capabilities, "store", what)

    async def _at_work(self, backend: Backend, settings: Settings, manifest: Manifest) -> int:
        reporter, fleet = self._reporter, self._fleet
        obeyed = verbs(self._orders, reporter)
        scheduler = Scheduler(backend, self._holder)
        registry = Registry(backend, self._holder, reporter.record, reporter.changing, obeyed)
        self._work = reporter.work = Work(
            backend,
            fleet,
            Renewer(
                backend,
                self._held,
                self._holder,
                settings.lease,
                fleet.interrupt,
                {bell(self._holder): registry.ring, STAMP: scheduler.ring},
            ),
            self._held,
            manifest.tasks,
            settings,
            holder=self._holder,
            queues=self._options.queues,
            beside={
                "the loop that registers": registry,
                "the loop that schedules": scheduler,
                "the loop that keeps topics": Steward(backend, manifest.subscriptions),
                **self._scaler(backend),
            },
        )
        self._orders.on_quiet = self._work.fetcher.rest
        if self._orders.quiet:
            self._work.fetcher.rest(quiet=True)
        code = await self._work.run(self._orders.stop, self._orders.now)
        if not self.unanswered:
            await registry.leave()
        return code

    def _scaler(self, backend: Backend) -> dict[str, Loop]:
        options = self._options
        if not options.most:
            return {}
        scaler = Scaler(backend, self._fleet, options.queues, options.least, options.most)
        return {"the loop that scales": scaler}

    @property
    def unanswered(self) -> bool:
        """Whether the backend has not answered what it was asked last."""
        return self._in_vain or (self._work is not None and self._work.unanswered)

    def _ended(self, ended: list[tuple[Delivery, Outcome]]) -> None:
        if self._work is not None:
            self._work.ended(ended)

    def _broken(self) -> None:
        self._code = 1
        self._orders.ask_to_stop()

    def _describe(self) -> None:
        self._describing = asyncio.create_task(log_stacks(self._reporter))

    # -- words ----------------------------------------------------------------------------

    async def _or_stop(self, work: Coroutine[Any, Any, T]) -> T | None:
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self._orders.stop.wait())
        await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return None
        return task.result()

    def _greet(self, settings: Settings, manifest: Manifest) -> None:
        queues: Sequence[str] = self._options.queues or ("every queue",)
        log.info("worker %s on Python %s", self._holder, platform.python_version())
        log.info("app %s with %d tasks", self._options.target, len(own_tasks(manifest.tasks)))
        log.info("backend %s", settings.where)
        log.info("serving %s", ", ".join(queues))
        log.info(
            "%d children, each with %d loop slots and %d threads",
            self._options.size,
            self._options.loop_slots,
            self._options.thread_slots,
        )
        if any(info.kind == "cpu" for info in manifest.tasks.values()):
            log.info("%d children, each for one cpu task", self._options.cpu_size)


def run_worker(options: WorkerOptions) -> int:
    """Run a worker in this process until it is told to stop; returns its exit code."""
    return asyncio.run(_main(options))


async def _main(options: WorkerOptions) -> int:
    supervisor = Supervisor(options)
    code = await supervisor.run()
    if supervisor.unanswered:
        # A thread may be inside the backend for long; whoever stops a worker waits for no thread.
        logging.shutdown()
        os._exit(code)
    return code
