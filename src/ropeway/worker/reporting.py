"""What a worker tells of itself, to whoever asks: its condition, its record, its stacks."""

from __future__ import annotations

import os
import platform
import socket
import time

from ropeway.control import WorkerRecord
from ropeway.version import __version__
from ropeway.worker.condition import Condition, Facts, condition
from ropeway.worker.fleet import Fleet
from ropeway.worker.frames import Manifest
from ropeway.worker.health import Health
from ropeway.worker.held import Held
from ropeway.worker.options import WorkerOptions
from ropeway.worker.orders import Orders
from ropeway.worker.stacks import stacks
from ropeway.worker.work import Work

HOPELESS = 300.0
"""Seconds without work after which its leases are long over, and a service manager may restart it."""


class Reporter:
    """Looks at the parts of one worker; asks nobody, and changes nothing."""

    def __init__(
        self,
        holder: str,
        options: WorkerOptions,
        fleet: Fleet,
        orders: Orders,
        held: Held,
    ) -> None:
        self._holder, self._options = holder, options
        self._fleet, self._orders, self._held = fleet, orders, held
        self._started = time.time()
        self._well = time.monotonic()
        self.manifest: Manifest | None = None
        self.work: Work | None = None

    def condition(self) -> Condition:
        """Say what the worker is doing."""
        if self.work is None and not self._orders.stop.is_set():
            return Condition("starting", "it has not begun to fetch")
        if self.work is None:
            return Condition("draining", "it was told to stop before it had begun")
        fetcher = self.work.fetcher
        return condition(
            Facts(
                children=len(self._fleet.pids),
                held=len(self._held),
                silent=fetcher.patience.silent,
                missing=fetcher.patience.why,
                # Not before the last claim is back: who reads "quiet" can rely on it.
                quiet=fetcher.quiet and fetcher.rested.is_set(),
                stopping=self._orders.stop.is_set(),
            )
        )

    def health(self) -> Health:
        """Say how the worker is."""
        return Health.of(self._holder, self.condition())

    def hopeless(self) -> bool:
        """Whether it has not been able to work for so long that a new start loses nothing."""
        if self.condition().state != "waiting":
            self._well = time.monotonic()
        return time.monotonic() - self._well > HOPELESS

    def changing(self) -> object:
        """What of the record is written as soon as it changes."""
        return self.condition().state, self._fleet.pids

    def record(self) -> WorkerRecord:
        """Return the record that others see of this worker."""
        now = self.condition()
        manifest = self.manifest
        return WorkerRecord(
            holder=self._holder,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=__version__,
            python=platform.python_version(),
            app=self._options.target,
            code=manifest.code if manifest else "",
            started=self._started,
            heard=0.0,
            state=now.state,
            why=now.why,
            queues=self._options.queues,
            offers=dict(self._options.offers),
            tasks={name: info.digest for name, info in manifest.tasks.items()} if manifest else {},
            slots={str(kind): count for kind, count in self._fleet.slots().items()},
            busy={str(kind): count for kind, count in self._fleet.held().items()},
            children=tuple(self._fleet.pids),
            settled=self.work.settler.settled if self.work else 0,
        )

    async def stacks(self) -> str:
        """Say what every thread and coroutine of the worker is doing, process by process."""
        parts = [f"== supervisor {os.getpid()}\n{stacks({})}"]
        parts += [f"== child {pid}\n{text}" for pid, text in (await self._fleet.stacks()).items()]
        return "\n".join(parts)
