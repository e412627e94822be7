"""Between rows and values: which column is what."""

from __future__ import annotations

from typing import Any

import msgspec

from ropeway.envelope import STATES, failure_of, message_of
from ropeway.message import Delivery, Fence, JobRecord, job_key
from ropeway.transition import Record

Row = tuple[Any, ...]
_pack = msgspec.msgpack.Encoder().encode


def delivery_of(row: Row, holder: str) -> Delivery:
    """Make a delivery of a claimed row: the columns of `claim_due` and `claim_expired`."""
    due, job_id, task, queue, band, key, enqueued, attempt = row[2:10]
    failures, losses, releases, unknown = row[10:14]
    message, unreadable = message_of((job_id, task, queue, band, key, *row[14:]))
    return Delivery(
        message=message,
        fence=Fence(job_id, attempt, holder),
        failures=failures,
        losses=losses,
        releases=releases,
        unknown=unknown,
        enqueued=enqueued,
        due=due,
        unreadable=unreadable,
    )


def job_of(row: Row) -> JobRecord:
    """Make a job's record of a row: the columns of `get_job` and `search`."""
    state, attempt, failures, losses, releases, unknown = row[7:13]
    enqueued, due, started, finished, holder, value, error = row[13:20]
    return JobRecord(
        message=message_of(row[:7])[0],
        state=STATES[state],
        attempt=attempt,
        failures=failures,
        losses=losses,
        releases=releases,
        unknown=unknown,
        enqueued=enqueued,
        due=due,
        started=started,
        finished=finished,
        holder=holder,
        value=value,
        error=failure_of(error) if error else None,
        cancelling=bool(row[21]),
    )


def record_of(row: Row) -> Record:
    """Make the stored form of a job's record, with its version."""
    return Record(job_key(row[0]), row[20], _pack(job_of(row)))
