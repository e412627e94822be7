"""PostgreSQL as a backend of both roles: many machines on one database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from ropeway.backends.postgres import logs, plain, query, retain, search
from ropeway.backends.postgres.apply import end_flagged, expire
from ropeway.backends.postgres.claim import Claiming, deliveries
from ropeway.backends.postgres.commit import MOST_PUBLISHED, commit, decided
from ropeway.backends.postgres.hints import POLL
from ropeway.backends.postgres.limits import declare, meters_of
from ropeway.backends.postgres.link import Link
from ropeway.backends.postgres.locks import LIMITS
from ropeway.backends.postgres.look import Look, Since
from ropeway.backends.postgres.model import Model, Names
from ropeway.backends.postgres.rows import Job, Row
from ropeway.backends.postgres.sessions import Connection
from ropeway.backends.postgres.statements import SQL
from ropeway.broker import Held, QueueStats
from ropeway.capabilities import Capabilities
from ropeway.claims import MAX_BATCH, Claim, Limit, Meter
from ropeway.decide import Keep
from ropeway.message import Delivery, Fence, JobRecord
from ropeway.store import Causes, Count, Filter, Found, queue_name
from ropeway.transition import Answer, Entry, Record, Transition

T = TypeVar("T")

_SHORTEST_WAIT = 0.005
_BREATH = 0.002
"""Seconds that a claim which may wait leaves to the server and the machine, after one that got
something, and less than it asked for."""

_STEP = 300
"""Jobs removed in one transaction: more than a transaction settles, so that they never pile up."""


class PostgresBackend:
    """Both roles in a database. What `commit` acknowledged is on the server's disk."""

    capabilities = Capabilities(joint=True)

    def __init__(self, link: Link) -> None:
        self.link = link
        self._excess = retain.Excess()
        self._since = Since()
        self._emptied = False

    async def open(self) -> None:
        await self.link.open()

    async def close(self) -> None:
        await self.link.close()

    async def lifeline(self, holder: str) -> str | None:
        return None  # a holder may be on any machine: leases end by time alone

    async def now(self) -> float:
        async def work(connection: Connection) -> float:
            now: float = await connection.fetchval(SQL["now"])
            return now

        return await self._look(work)

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        answers: list[Answer] = []
        for start in range(0, len(transitions), MOST_PUBLISHED):
            answers += await commit(self.link, transitions[start : start + MOST_PUBLISHED])
        return answers

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        if not claims:
            return []
        deadline = time.monotonic() + wait
        names = [queue_name(claim.queue) for claim in claims]
        if self._emptied and wait > _BREATH:
            # Nobody but a hint tells of more so soon, and what was taken last is just being begun.
            await self.wait(names, _BREATH)
        while True:
            # As if it only looked: of a claim that nobody heard of, one more is none the worse.
            looked, taken = await self._look(
                lambda connection: self._since.look_and_claim(connection, claims, (holder, lease))
            )
            self._emptied = 0 < len(taken) < sum(claim.n for claim in claims)
            if taken:
                return taken
            soon = looked.ready_in(claims)
            if soon <= 0 and (found := await self._claim(claims, looked, holder, lease)):
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            # Something that is due and still cannot be claimed must not turn this into a spin.
            await self.wait(names, min(left, max(soon, _SHORTEST_WAIT), POLL))

    async def _claim(
        self, claims: Sequence[Claim], looked: Look, holder: str, lease: float
    ) -> list[Delivery]:
        if looked.is_late(looked.expiries):
            while await self._end_flagged(MAX_BATCH) == MAX_BATCH:
                pass
        while True:
            rows, finished = await self.link.run(
                partial(self._take, claims, looked, (holder, lease)),
                write=True,
                single=looked.is_simple(claims),
            )
            if rows or finished:
                return deliveries(rows, holder)
            looked = await self._look(lambda connection: self._since.look(connection, claims))

    async def _take(
        self,
        claims: Sequence[Claim],
        looked: Look,
        lessee: tuple[str, float],
        connection: Connection,
    ) -> tuple[list[Row], bool]:
        claiming = Claiming(connection, self._since, looked, lessee)
        return await claiming.run(claims), claiming.finished

    async def extend(self, fences: Sequence[Fence], lease: float) -> list[Held]:
        if not fences:
            return []

        async def work(connection: Connection) -> list[Held]:
            return await plain.extend(connection, fences, lease)

        return await self.link.run(work, write=True, single=True)

    async def declare(self, limits: Sequence[Limit]) -> None:
        async def work(connection: Connection) -> list[str]:
            await connection.fetchval(SQL["lock"], [LIMITS])
            return await declare(connection, limits)

        if limits:
            woken = await self.link.run(work, write=True)
            await self.link.notify([queue_name(queue) for queue in woken])

    async def meters(self, names: Sequence[str]) -> list[Meter]:
        found = await self._look(lambda connection: meters_of(connection, names))
        return [found[name] for name in names]

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        return await self._look(lambda connection: query.get(connection, keys))

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        return await self._look(lambda connection: query.scan(connection, prefix, after, limit))

    async def read(self, log: str, after: int = 0, limit: int = 100) -> list[Entry]:
        return await logs.read(self.link, log, after, limit)

    async def peek(self, queue: str, limit: int = 50) -> list[JobRecord]:
        return await self._look(lambda connection: query.peek(connection, queue, limit))

    async def stats(self, queues: Sequence[str] | None = None, cap: int = 0) -> list[QueueStats]:
        return await self._look(lambda connection: query.stats(connection, queues, cap))

    async def search(self, which: Filter, before: str | None = None, limit: int = 50) -> Found:
        return await self._look(lambda connection: search.search(connection, which, before, limit))

    async def count(self, which: Filter, cap: int = 100_000) -> Count:
        return await self._look(lambda connection: search.count(connection, which, cap))

    async def causes(self, which: Filter, limit: int = 50) -> Causes:
        return await self._look(lambda connection: search.causes(connection, which, limit))

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        return await self.link.wait(names, timeout)

    async def _look(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        return await self.link.run(work, write=False)

    # -- what ends by itself, and what is removed ---------------------------------------------

    async def prune(self, keep: Keep, limit: int) -> int:
        changed = await self._end_flagged(limit)
        changed += await self._expire(keep, limit - changed)
        until = await self._look(
            lambda connection: retain.bounds(connection, self._excess, keep.newest)
        )
        if until:
            work = partial(retain.remove_jobs, until=until)
            changed += await self._in_steps(work, limit - changed)
        for remove in retain.remove_records, retain.remove_joins:
            changed += await self._in_steps(remove, limit - changed)
        return changed

    async def _in_steps(self, remove: Callable[..., Awaitable[int]], limit: int) -> int:
        done = 0
        while (part := min(_STEP, limit - done)) > 0:
            removed = await self.link.run(partial(remove, limit=part), write=True)
            done += removed
            if removed < part:
                break
            await asyncio.sleep(0)  # others get their turn
        return done

    async def _end_flagged(self, limit: int) -> int:
        return await self._end("flagged_over", end_flagged, limit)

    async def _expire(self, keep: Keep, limit: int) -> int:
        def one(model: Model, job: Job) -> None:
            expire(model, job, keep)

        return await self._end("late", one, limit)

    async def _end(self, name: str, end: Callable[[Model, Job], None], limit: int) -> int:
        """End at most `limit` open jobs that a statement finds; return how many."""
        done = 0
        while (part := min(_STEP, limit - done)) > 0:
            found = await self._look(partial(_ids, name=name, limit=part))
            if not found:
                break
            done += await decided(self.link, partial(_named, found), (), partial(_end_all, end))
        return done


async def _ids(connection: Connection, name: str, limit: int) -> list[str]:
    return [job_id for (job_id,) in await connection.fetch(SQL[name], limit)]


def _named(ids: Sequence[str]) -> Names:
    names = Names()
    names.jobs.update(ids)
    return names


def _end_all(end: Callable[[Model, Job], None], model: Model) -> int:
    open_jobs = [job for job in model.jobs.values() if not job.final]
    for job in open_jobs:
        end(model, job)
    return sum(job.final for job in open_jobs)
