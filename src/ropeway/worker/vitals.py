"""The loop that reports: how the worker is goes to a file and to the service manager."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ropeway.worker.health import Health
from ropeway.worker.healthfile import HealthFile
from ropeway.worker.notify import Notifier

log = logging.getLogger("ropeway.worker")

EVERY = 1.0
"""Seconds between two reports."""


class Vitals:
    """Reports what `look` returns; `hopeless` says whether only a new start can help.

    The watchdog of a service manager is fed as long as this loop turns and nothing is hopeless: not
    only while the worker consumes, for what it runs would be lost by a restart, and a store that is
    away does not come back by it.
    """

    def __init__(
        self,
        look: Callable[[], Health],
        hopeless: Callable[[], bool],
        file: HealthFile | None,
        notifier: Notifier,
    ) -> None:
        self._look, self._hopeless = look, hopeless
        self._file, self._notifier = file, notifier
        self._told: set[str] = set()
        self._status = ""
        self._unwritten = False

    async def run(self) -> None:
        """Report for ever."""
        watchdog = self._notifier.watchdog
        pause = min(EVERY, watchdog / 3) if watchdog else EVERY
        if self._file is None and not self._notifier.listened_to:
            pause = 3600.0
        while True:
            self.run_once()
            await asyncio.sleep(pause)

    def run_once(self) -> None:
        """Report once."""
        health = self._look()
        if self._file is not None:
            self._write(self._file, health)
        if not self._notifier.listened_to:
            return
        status = f"{health.state}: {health.why}" if health.why else health.state
        if status != self._status:
            self._status = status
            self._notifier.tell(STATUS=status)
        if health.consuming or health.state == "quiet":
            self._once("READY")
        if health.state == "draining":
            self._once("STOPPING")
        if self._notifier.watchdog and not self._hopeless():
            self._notifier.tell(WATCHDOG="1")

    def close(self) -> None:
        """Leave nothing behind that says a worker is here."""
        if self._file is not None:
            self._file.remove()
        self._notifier.close()

    def _once(self, word: str) -> None:
        if word not in self._told:
            self._told.add(word)
            self._notifier.tell(**{word: "1"})

    def _write(self, file: HealthFile, health: Health) -> None:
        try:
            file.write(health)
        except OSError as error:
            if not self._unwritten:
                log.warning("the health file cannot be written: %s", error)
            self._unwritten = True
        else:
            self._unwritten = False
