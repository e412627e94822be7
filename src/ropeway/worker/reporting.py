"""What a worker tells of itself, to whoever asks: its condition, its record, its stacks."""

from __future__ import annotations

import os
import platform
import socket
import time
from typing import Protocol

from msgspec import Struct

from ropeway.control import WorkerRecord
from ropeway.message import Kind
from ropeway.version import __version__
from ropeway.worker.condition import Condition, Facts, condition
from ropeway.worker.health import Health
from ropeway.worker.held import Held
from ropeway.worker.orders import Orders
from ropeway.worker.stacks import stacks
from ropeway.worker.work import Work

HOPELESS = 300.0
"""Seconds without work after which its leases are long over, and a service manager may restart it."""


class Staff(Protocol):
    """The processes of a worker that run calls."""

    @property
    def pids(self) -> list[int]:
        """Which these are."""
        ...

    def slots(self) -> dict[Kind, int]:
        """How many calls of each kind run at once."""
        ...

    def held(self) -> dict[Kind, int]:
        """How many calls of each kind they hold."""
        ...

    async def stacks(self) -> dict[int, str]:
        """Say what each is doing, by its pid."""
        ...


class Serves(Struct, frozen=True, kw_only=True):
    """What a worker is for: the app, the queues (None: every one) and the resources it offers."""

    app: str
    queues: tuple[str, ...] | None = None
    offers: dict[str, int] = {}


class Reporter:
    """Looks at the parts of one worker; asks nobody, and changes nothing.

    `tasks` are the digests of those that it knows, `code` that of the files they are in.
    """

    def __init__(
        self, holder: str, serves: Serves, staff: Staff, orders: Orders, held: Held
    ) -> None:
        self._holder, self._serves = holder, serves
        self._staff, self._orders, self._held = staff, orders, held
        self._started = time.time()
        self._well = time.monotonic()
        self.tasks: dict[str, str] = {}
        self.code = ""
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
                children=len(self._staff.pids),
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
        return self.condition().state, self._staff.pids

    def record(self) -> WorkerRecord:
        """Return the record that others see of this worker."""
        now = self.condition()
        return WorkerRecord(
            holder=self._holder,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=__version__,
            python=platform.python_version(),
            app=self._serves.app,
            code=self.code,
            started=self._started,
            heard=0.0,
            state=now.state,
            why=now.why,
            queues=self._serves.queues,
            offers=self._serves.offers,
            tasks=self.tasks,
            slots={str(kind): count for kind, count in self._staff.slots().items()},
            busy={str(kind): count for kind, count in self._staff.held().items()},
            children=tuple(self._staff.pids),
            settled=self.work.settler.settled if self.work else 0,
        )

    async def stacks(self) -> str:
        """Say what every thread and coroutine of the worker is doing, process by process."""
        found = await self._staff.stacks()
        parts = [f"== child {pid}\n{text}" for pid, text in found.items() if pid != os.getpid()]
        own = found.get(os.getpid()) or stacks({})
        return "\n".join([f"== supervisor {os.getpid()}\n{own}", *parts])
