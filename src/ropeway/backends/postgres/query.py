"""Looking without changing: records, jobs, logs, and counts for people."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from ropeway.backends.postgres.rows import Row
from ropeway.backends.postgres.sessions import Connection
from ropeway.backends.postgres.statements import SQL
from ropeway.broker import QueueStats
from ropeway.envelope import job_of, record_of
from ropeway.message import JOB_PREFIX, JobRecord
from ropeway.states import State
from ropeway.transition import Entry, Record


async def get(connection: Connection, keys: Sequence[str]) -> list[Record | None]:
    """Return the record of each key, in the order asked."""
    jobs = [key.removeprefix(JOB_PREFIX) for key in keys if key.startswith(JOB_PREFIX)]
    others = [key.encode() for key in keys if not key.startswith(JOB_PREFIX)]
    found: dict[str, Record] = {}
    if jobs:
        found |= {each.key: each for each in map(record_of, await rows(connection, jobs))}
    if others:
        kept = await connection.fetch(SQL["get_records"], others)
        found |= {each.key: each for each in map(_record, kept)}
    return [found.get(key) for key in keys]


async def rows(connection: Connection, ids: Sequence[str]) -> list[asyncpg.Record]:
    """Find jobs wherever they are: open, settled, or on the way from one to the other."""
    found = await connection.fetch(SQL["get_open"], ids)
    left = {*ids} - {row[0] for row in found}
    if left:
        found += await connection.fetch(SQL["get_finished"], [*left])
    if left := {*ids} - {row[0] for row in found}:
        # One that was settled at the first look may have been revived before the second.
        found += await connection.fetch(SQL["get_open"], [*left])
    return found


async def scan(connection: Connection, prefix: str, after: str, limit: int) -> list[Record]:
    """Return the records whose keys begin with `prefix`, by key."""
    first = prefix.encode()
    # The least bytes behind others are those with a zero added: one bound does for both.
    low = max(first, after.encode() + b"\0") if after else first
    end = _end(first)
    if end is None:
        found = await connection.fetch(SQL["scan_to_end"], low, limit)
    else:
        found = await connection.fetch(SQL["scan"], low, end, limit)
    return [_record(row) for row in found]


def _end(prefix: bytes) -> bytes | None:
    """The least bytes behind all that begin with `prefix`; None if there are none."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else None


def _record(row: Row) -> Record:
    key, version, value, owner = row
    return Record(key.decode(), version, value, owner.decode())


async def read(
    connection: Connection, log: str, after: int, limit: int
) -> tuple[list[Entry], bool]:
    """Return the entries of a log after an offset, and whether some have arrived without one."""
    if after < 0:
        newest = await connection.fetch(SQL["read_newest"], log.encode(), -after)
        arrived = bool(newest) and newest[-1][0] is None
        kept = newest[-2::-1] if arrived else newest[::-1]
        return [Entry(*row) for row in kept[:limit]], arrived
    found = await connection.fetch(SQL["read"], log.encode(), after, limit)
    arrived = bool(found) and found[-1][0] is None
    return [Entry(*row) for row in (found[:-1] if arrived else found)], arrived


async def peek(connection: Connection, queue: str, limit: int) -> list[JobRecord]:
    """List what waits in a queue, by due time."""
    ids = [job_id for _, _, job_id in (await _first(connection, queue, limit))[:limit]]
    order = {job_id: place for place, job_id in enumerate(ids)}
    found = [job_of(row) for row in await connection.fetch(SQL["get_open"], ids)]
    # Others go on meanwhile: what has been claimed since is not shown.
    waiting = [job for job in found if job.state is State.QUEUED]
    return sorted(waiting, key=lambda job: order[job.message.id])


async def _first(connection: Connection, queue: str, limit: int) -> list[tuple[float, int, str]]:
    found: list[tuple[float, int, str]] = []
    for kind, lane in await connection.fetch(SQL["lanes"], queue):
        for due, serial, job_id in await connection.fetch(SQL["peek"], queue, kind, lane, limit):
            found.append((due, serial, job_id))
    return sorted(found)


async def stats(connection: Connection, queues: Sequence[str] | None, cap: int) -> list[QueueStats]:
    """Count what waits in each queue, up to `cap`."""
    if queues is None:
        queues = [name for (name,) in await connection.fetch(SQL["queue_names"])]
    return [await _count(connection, name, cap) for name in queues]


async def _count(connection: Connection, queue: str, cap: int) -> QueueStats:
    counted = await connection.fetchrow(SQL["count_queue"], queue, cap)
    assert counted is not None
    ready, delayed, leased = counted
    first = await _first(connection, queue, 1)
    return QueueStats(
        queue=queue,
        ready=ready,
        delayed=delayed,
        leased=leased,
        oldest_due=first[0][0] if first else None,
    )
