"""The one door that is watched: an event for every verb that a backend is asked for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Self

from ropeway.broker import Held, QueueStats
from ropeway.claims import Claim
from ropeway.events import Events, VerbDone
from ropeway.message import Delivery, Fence
from ropeway.store import Backend, Causes, Count, Filter, Found
from ropeway.transition import Answer, Entry, Record, Transition
from ropeway.wrappers.delegate import Delegate


class _Timed:
    """Emits one event when the verb ends, also when it raises."""

    def __init__(self, events: Events, verb: str, items: int) -> None:
        self._events, self._verb = events, verb
        self.items, self.refused = items, 0

    def __enter__(self) -> Self:
        self._start = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._events.silent:
            return
        self._events.emit(
            VerbDone(
                verb=self._verb,
                items=self.items,
                refused=self.refused,
                seconds=time.perf_counter() - self._start,
                error=kind.__name__ if kind else None,
            )
        )


class Observed(Delegate):
    """Tells `events` of each verb: how many items, how long, how many refused, which error.

    Not of `wait`, whose seconds say nothing of the backend.
    """

    def __init__(self, inner: Backend, events: Events) -> None:
        super().__init__(inner)
        self.events = events

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        if self.events.silent:
            return await self.inner.commit(transitions)
        with _Timed(self.events, "commit", len(transitions)) as timed:
            answers = await self.inner.commit(transitions)
            timed.refused = sum(not answer.ok for answer in answers)
            return answers

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        with _Timed(self.events, "receive", 0) as timed:
            deliveries = await self.inner.receive(claims, holder, lease, wait)
            timed.items = len(deliveries)
            return deliveries

    async def extend(self, fences: Sequence[Fence], lease: float) -> list[Held]:
        with _Timed(self.events, "extend", len(fences)) as timed:
            held = await self.inner.extend(fences, lease)
            timed.refused = sum(answer != "held" for answer in held)
            return held

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        with _Timed(self.events, "get", len(keys)):
            return await self.inner.get(keys)

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        with _Timed(self.events, "scan", 0) as timed:
            found = await self.inner.scan(prefix, after, limit)
            timed.items = len(found)
            return found

    async def read(self, log: str, after: int = 0, limit: int = 100) -> list[Entry]:
        with _Timed(self.events, "read", 0) as timed:
            found = await self.inner.read(log, after, limit)
            timed.items = len(found)
            return found

    async def stats(self, queues: Sequence[str] | None = None, cap: int = 0) -> list[QueueStats]:
        with _Timed(self.events, "stats", 0) as timed:
            found = await self.inner.stats(queues, cap)
            timed.items = len(found)
            return found

    async def search(self, which: Filter, before: str | None = None, limit: int = 50) -> Found:
        with _Timed(self.events, "search", 0) as timed:
            found = await self.inner.search(which, before, limit)
            timed.items = len(found.jobs)
            return found

    async def count(self, which: Filter, cap: int = 100_000) -> Count:
        with _Timed(self.events, "count", 0):
            return await self.inner.count(which, cap)

    async def causes(self, which: Filter, limit: int = 50) -> Causes:
        with _Timed(self.events, "causes", 0) as timed:
            causes = await self.inner.causes(which, limit)
            timed.items = len(causes.found)
            return causes
