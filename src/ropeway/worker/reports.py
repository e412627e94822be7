"""What running calls say of their progress, on its way to the store: the latest of each, at times."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable

from msgspec import Struct

from ropeway.errors import RopewayError
from ropeway.message import Fence
from ropeway.progress import KEPT, Progress, encode, progress_key
from ropeway.sending import Source
from ropeway.transition import Put, Transition

log = logging.getLogger("ropeway.worker")

PAUSE = 0.25
"""Seconds between two writes: what is said in between is one write, however often it is said."""


class Reporter(Struct, frozen=True):
    """Where one call reports to; `guarded` if its attempt has a lease to lose."""

    reports: Reports
    source: Source
    fence: Fence
    guarded: bool

    def __call__(self, progress: Progress) -> None:
        """Note a report; from any thread, and without waiting."""
        self.reports.note(self, progress)


class Reports:
    """Made on the event loop that writes the reports."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._latest: dict[Fence, Progress] = {}
        self._unwritten: dict[Fence, tuple[Reporter, Progress]] = {}
        self._writing: asyncio.Task[None] | None = None
        self._asked = False

    def note(self, reporter: Reporter, progress: Progress) -> None:
        """Keep the latest report of a call, and see that it is written soon."""
        with self._lock:
            if reporter.guarded:
                self._latest[reporter.fence] = progress
            self._unwritten[reporter.fence] = (reporter, progress)
            asked, self._asked = self._asked, True
        if not asked:
            self._loop.call_soon_threadsafe(self._start)

    def ended(self, fence: Fence) -> bytes | None:
        """A call has ended; returns its last report, if that is to go with its settle."""
        if fence not in self._latest:
            return None
        with self._lock:
            self._unwritten.pop(fence, None)
            return encode(self._latest.pop(fence))

    def _start(self) -> None:
        self._writing = self._loop.create_task(self._write())

    async def _write(self) -> None:
        while batch := self._take():
            source = batch[0][0].source
            try:
                answers = await source.store.commit([_transition(*each) for each in batch])
            except RopewayError as error:
                log.warning("progress cannot be written yet: %s", error.fact)
                self._put_back(batch)
            else:
                self._forget(
                    reporter.fence
                    for (reporter, _), answer in zip(batch, answers, strict=True)
                    if not answer.ok
                )
            await asyncio.sleep(PAUSE)

    def _take(self) -> list[tuple[Reporter, Progress]]:
        with self._lock:
            batch = list(self._unwritten.values())
            self._unwritten.clear()
            self._asked = bool(batch)
            return batch

    def _put_back(self, batch: list[tuple[Reporter, Progress]]) -> None:
        with self._lock:
            for reporter, progress in batch:
                if not reporter.guarded or reporter.fence in self._latest:
                    self._unwritten.setdefault(reporter.fence, (reporter, progress))

    def _forget(self, fences: Iterable[Fence]) -> None:
        """These attempts hold their leases no more: what they say counts no more."""
        with self._lock:
            for fence in fences:
                self._latest.pop(fence, None)


def _transition(reporter: Reporter, progress: Progress) -> Transition:
    fence = reporter.fence
    put = Put(progress_key(fence.id), encode(progress), ttl=KEPT, owner=fence.id)
    return Transition(fence=fence if reporter.guarded else None, put=(put,))
