"""Looking without changing: records, jobs, and counts for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ropeway.backends.sqlite import records
from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.lanes import Lane, heads
from ropeway.broker import QueueStats
from ropeway.envelope import KIND_NUMBERS, job_of, record_of
from ropeway.message import JOB_PREFIX, JobRecord
from ropeway.states import State
from ropeway.transition import Record

Execute = Callable[..., Any]

_MANY = 8
"""Keys from which on one statement for all is quicker than one for each."""


def get_all(execute: Execute, keys: Sequence[str], now: float) -> list[Record | None]:
    """Return the record of each key, in the order asked."""
    if len(keys) >= _MANY:
        jobs = _jobs(execute, [key for key in keys if key.startswith(JOB_PREFIX)])
        return [
            jobs.get(key) if key.startswith(JOB_PREFIX) else records.get(execute, key, now)
            for key in keys
        ]
    return [_get(execute, key, now) for key in keys]


def _get(execute: Execute, key: str, now: float) -> Record | None:
    if key.startswith(JOB_PREFIX):
        row = execute(sql.GET_JOB, (key.removeprefix(JOB_PREFIX),)).fetchone()
        return record_of(row) if row else None
    return records.get(execute, key, now)


def _jobs(execute: Execute, keys: Sequence[str]) -> dict[str, Record]:
    ids = json.dumps([key.removeprefix(JOB_PREFIX) for key in keys])
    found = map(record_of, execute(sql.GET_JOBS, (ids,)))
    return {record.key: record for record in found}


def peek(execute: Execute, queue: str, limit: int) -> list[JobRecord]:
    """List what waits in a queue, by due time."""
    first: list[tuple[float, int]] = []
    for lane in _lanes(execute, queue):
        first += execute(sql.PEEK_LANE, (queue, *lane, limit)).fetchall()
    rows = (execute(sql.GET_SERIAL, (serial,)).fetchone() for _, serial in sorted(first)[:limit])
    jobs = (job_of(row) for row in rows if row)
    # Others go on meanwhile: what has been claimed since is not shown.
    return [job for job in jobs if job.state is State.QUEUED]


def stats(execute: Execute, queues: Sequence[str] | None, cap: int, now: float) -> list[QueueStats]:
    """Count what waits in each queue, up to `cap`."""
    names = [row[0] for row in execute(sql.QUEUE_NAMES)] if queues is None else queues
    return [_count(execute, name, cap, now) for name in names]


def _count(execute: Execute, queue: str, cap: int, now: float) -> QueueStats:
    forever, since = 1e300, -1e300
    return QueueStats(
        queue=queue,
        ready=execute(sql.COUNT_WAITING, (queue, since, now, cap)).get,
        delayed=execute(sql.COUNT_WAITING, (queue, now, forever, cap)).get,
        leased=execute(sql.COUNT_LEASED, (queue, cap)).get,
        oldest_due=_oldest_due(execute, queue),
    )


def _oldest_due(execute: Execute, queue: str) -> float | None:
    # A lane may be empty by the time that it is looked into.
    lanes = (
        execute(sql.PEEK_LANE, (queue, *lane, 1)).fetchall() for lane in _lanes(execute, queue)
    )
    return min((due for first in lanes for due, _ in first), default=None)


def _lanes(execute: Execute, queue: str) -> Iterator[Lane]:
    """Where anything waits, blocked or not."""
    for kind in KIND_NUMBERS.values():
        for lane, _ in heads(execute, queue, kind):
            yield kind, lane
