"""SQLite as a backend of both roles: many processes of one machine on one file."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from ropeway.backends.sqlite import (
    cancel,
    claim,
    commit,
    hints,
    joins,
    logs,
    mend,
    query,
    records,
    retain,
    search,
)
from ropeway.backends.sqlite.database import Database
from ropeway.backends.sqlite.holders import void_leases
from ropeway.backends.sqlite.limits import declare, meters
from ropeway.backends.sqlite.ops import Durable, Op, Writing
from ropeway.backends.sqlite.transport import Looped, Transport
from ropeway.broker import Held, QueueStats
from ropeway.capabilities import Capabilities
from ropeway.claims import MAX_BATCH, Claim, Limit, Meter
from ropeway.decide import Keep
from ropeway.errors import BackendUnavailable
from ropeway.message import Delivery, Fence, JobRecord
from ropeway.store import Causes, Count, Filter, Found, queue_name
from ropeway.transition import Answer, Entry, Record, Transition

T = TypeVar("T")
Execute = Callable[..., Any]

_logger = logging.getLogger("ropeway")

_FEW = 4
_PAGE = 200
"""Records that are read in less time than it takes to hand that to another thread and back."""

_FEW_QUEUES = 20
"""Queues that are looked at, without counting, in less time than that."""

_SHORTEST_WAIT = 0.005
_STEP = 300
"""Jobs removed in one transaction: more than a transaction settles, so that they never pile up."""


class SqliteBackend:
    """Both roles on a file. What `commit` acknowledged is on the disk (WAL, synchronous=FULL).

    `transport` decides where blocking work runs; several backends may share one `Database`.
    """

    capabilities = Capabilities()

    def __init__(self, database: Database, transport: Transport | None = None) -> None:
        self.database = database
        self._transport = transport or Looped(database)
        self._excess = retain.Excess()
        self._few_queues = False

    async def open(self) -> None:
        await self._transport.read(self.database.open)

    async def lifeline(self, holder: str) -> str | None:
        return self.database.holders.add(holder)

    async def close(self) -> None:
        self._transport.close()
        self.database.close()

    async def now(self) -> float:
        return self.database.clock.now()

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        answers: list[Answer] = []
        for start in range(0, len(transitions), MAX_BATCH):
            op = self._asked(transitions[start : start + MAX_BATCH])
            part_answers = await self._transport.write(op, lone=len(transitions) <= _FEW)
            answers += part_answers
        return answers

    def _asked(self, part: Sequence[Transition]) -> Op[list[Answer]]:
        message = commit.lone_message(part)
        durable: Durable = "after" if message is not None else commit.durability(part)
        if durable == "after" or commit.needs_room(part):
            self.database.check_room(much=durable == "before")
        if message is not None:
            alone = partial(commit.publish_alone, message)
            return self.database.submit(alone, 1, durable, single=True)
        return self.database.submit(partial(commit.apply_all, part), len(part), durable)

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        if not claims:
            return []
        deadline = time.monotonic() + wait
        names = [queue_name(claimed.queue) for claimed in claims]
        await self._bury_the_dead()
        # Looking needs no turn, so an idle worker never stands in a writer's way.
        soon = self._ready_in(claims) if wait > 0 else 0.0
        while True:
            if soon <= 0 and (found := await self._claim(claims, holder, lease, lone=wait > 0)):
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            # Something that is due and still cannot be claimed must not turn this into a spin.
            patience = min(left, max(soon, _SHORTEST_WAIT), hints.POLL)
            hinted = await self._transport.wait(names, patience)
            await self._bury_the_dead()
            soon = 0.0 if hinted else self._ready_in(claims)

    async def _bury_the_dead(self) -> None:
        holders = self.database.holders
        for holder, lock in holders.dead():
            done = False
            try:
                op = self.database.submit(partial(void_leases, holder), MAX_BATCH, "no")
                voided = await self._transport.write(op)
                done = True
                _logger.info("worker %s is dead: its %d leases are over", holder, voided)
            finally:
                holders.bury(holder, lock, done=done)

    async def _claim(
        self, claims: Sequence[Claim], holder: str, lease: float, *, lone: bool
    ) -> list[Delivery]:
        if not self.database.has_room_for_claims():
            return []

        def work(writing: Writing) -> list[Delivery] | None:
            return claim.claim_all(writing, claims, holder, lease)

        found: list[Delivery] | None = None
        while found is None:
            op = self.database.submit(work, sum(each.n for each in claims), "no")
            with suppress(UnicodeDecodeError):
                found = await self._transport.write(op, lone=lone)
                continue
            if not await self._mend():
                raise BackendUnavailable(
                    "the database holds texts that cannot be read, and not those of jobs",
                    hint="check the disk, and restore a copy: ropeway restore",
                )
        return found

    async def _look(self, look: Callable[[Execute], T]) -> T:
        with suppress(UnicodeDecodeError):
            return await self._transport.read(self.database.read, look)
        # Not before the error and its traceback are gone: they hold an old snapshot open.
        await self._mend()
        return await self._transport.read(self.database.read, look)

    async def _mend(self) -> int:
        """Put rows aside that cannot be read, so that all others can; return how many."""
        broken = await self._transport.read(self.database.read, mend.unreadable)
        for start in range(0, len(broken), MAX_BATCH):
            part = broken[start : start + MAX_BATCH]
            op = self.database.submit(partial(mend.set_aside, part), len(part), "before")
            done = await self._transport.write(op)
            _logger.error("%d jobs hold bytes that are no text: they are in quarantine", done)
        return len(broken)

    def _ready_in(self, claims: Sequence[Claim]) -> float:
        clock = self.database.clock
        return self.database.read(
            lambda execute: claim.earliest(execute, claims, clock.now(), clock.boot())
        )

    async def extend(self, fences: Sequence[Fence], lease: float) -> list[Held]:
        def work(writing: Writing) -> list[Held]:
            return claim.extend_all(writing, fences, lease)

        op = self.database.submit(work, len(fences), "no")
        return await self._transport.write(op)

    async def stats(self, queues: Sequence[str] | None = None, cap: int = 0) -> list[QueueStats]:
        now = self.database.clock.now()

        def look(execute: Execute) -> list[QueueStats]:
            return query.stats(execute, queues, cap, now)

        found: list[QueueStats] | None = None
        if cap == 0 and self._few_queues:
            with suppress(UnicodeDecodeError):
                found = self.database.read(look)  # where it is asked, as for `get`
        if found is None:
            found = await self._look(look)
        self._few_queues = len(found) <= _FEW_QUEUES
        return found

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        # A probe of an index each: done where it is asked, quicker than any other thread is.
        now = self.database.clock.now()
        return self.database.read(lambda execute: query.get_all(execute, keys, now))

    async def search(self, which: Filter, before: str | None = None, limit: int = 50) -> Found:
        return await self._look(lambda execute: search.search(execute, which, before, limit))

    async def count(self, which: Filter, cap: int = 100_000) -> Count:
        return await self._look(lambda execute: search.count(execute, which, cap))

    async def causes(self, which: Filter, limit: int = 50) -> Causes:
        return await self._look(lambda execute: search.causes(execute, which, limit))

    async def declare(self, limits: Sequence[Limit]) -> None:
        op = self.database.submit(partial(declare, limits), len(limits), "before")
        await self._transport.write(op)

    async def meters(self, names: Sequence[str]) -> list[Meter]:
        return await self._look(lambda execute: meters(execute, names))

    async def peek(self, queue: str, limit: int = 50) -> list[JobRecord]:
        return await self._look(lambda execute: query.peek(execute, queue, limit))

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        now = self.database.clock.now()

        def look(execute: Execute) -> list[Record]:
            return records.scan(execute, prefix, after, limit, now)

        if limit <= _PAGE:
            return self.database.read(look)  # where it is asked, as for `get`
        return await self._transport.read(self.database.read, look)

    async def read(self, log: str, after: int = 0, limit: int = 100) -> list[Entry]:
        return await self._transport.read(
            self.database.read, lambda execute: logs.read(execute, log, after, limit)
        )

    async def prune(self, keep: Keep, limit: int) -> int:
        read, now = self.database.read, self.database.clock.now()
        changed = 0
        boot = self.database.clock.boot()
        # Looked at first: where nothing is over nobody has to wait for a turn.
        if await self._transport.read(read, lambda execute: retain.any_flagged(execute, boot)):
            changed = await self._in_steps(cancel.end_flagged, limit)
        if await self._transport.read(read, lambda execute: retain.any_late(execute, now)):
            changed += await self._in_steps(partial(retain.expire, keep), limit - changed)
        until = await self._transport.read(
            read, lambda execute: retain.bounds(execute, self._excess, keep.newest, now)
        )
        if until:
            changed += await self._in_steps(partial(retain.remove, until), limit - changed)
        for any_over, remove in (records.any_over, records.remove), (joins.any_over, joins.remove):
            if await self._transport.read(read, partial(any_over, now=now)):
                changed += await self._in_steps(remove, limit - changed)
        return changed

    async def _in_steps(self, work: Callable[[int, Writing], int], limit: int) -> int:
        done = 0
        while (part := min(_STEP, limit - done)) > 0:
            op = self.database.submit(partial(work, part), part, "no")
            changed = await self._transport.write(op)
            done += changed
            if changed < part:
                break
        return done

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        return await self._transport.wait(names, timeout)
