"""Between rows and values: which column is what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import asyncpg
import msgspec
from msgspec import Struct

from ropeway.envelope import KIND_NUMBERS, NUMBERS, head_of, message_of
from ropeway.message import Delivery, Fence, Message
from ropeway.states import State

Row = tuple[Any, ...] | asyncpg.Record
_NO_COUNTS = (0, 0, 0, 0)
_pack = msgspec.msgpack.Encoder().encode
_json = msgspec.json.Encoder().encode


class Job(Struct):
    """A job on its way through a commit: the columns of `job`, those that only `finished` has, and
    where it is stored.
    """

    serial: int | None
    place: float
    due: float | None
    enqueued: float
    expires: float | None
    lease_until: float | None
    started: float | None
    rank: float | None
    keep_cancelled: float | None
    attempt: int
    failures: int
    losses: int
    releases: int
    unknown: int
    version: int
    state: int
    band: int
    kind: int
    lane: int
    id: str
    task: str
    queue: str
    key: str | None
    limited_by: str | None
    waits_for: str | None
    holder: str | None
    settled: bytes | None
    head: bytes | None
    body: bytes
    error: bytes | None
    value: bytes | None = None
    cause: str = ""
    finished: float | None = None
    purge: float | None = None
    stored: Literal["job", "finished"] | None = None
    changed: bool = False
    removed: bool = False

    @property
    def final(self) -> bool:
        """Whether it is settled."""
        return self.state > NUMBERS[State.RUNNING]

    @property
    def line(self) -> tuple[str, str] | None:
        """Where it stands in line by its key."""
        return None if self.key is None else (self.queue, self.key)

    def message(self) -> Message:
        """Put its message together again."""
        packed = (self.id, self.task, self.queue, self.band, self.key, self.head, self.body)
        return message_of(packed)[0]

    def is_of(self, message: Message) -> bool:
        """Whether it is kept with this very message."""
        mine = (self.task, self.queue, self.band, self.key, self.body, self.head)
        given = (message.task, message.queue, message.band, message.key, message.body)
        return mine == (*given, head_of(message))


_OPEN = Job.__struct_fields__[:30]
_FINISHED = Job.__struct_fields__[:34]


def open_columns(jobs: Iterable[Job]) -> list[list[Any]]:
    """The columns that `insert_open` and `update_open` take."""
    return _columns(jobs, _OPEN)


def finished_columns(jobs: Iterable[Job]) -> list[list[Any]]:
    """The columns that `insert_finished` takes."""
    return _columns(jobs, _FINISHED)


def _columns(jobs: Iterable[Job], names: Sequence[str]) -> list[list[Any]]:
    each = list(jobs)
    return [[getattr(job, name) for job in each] for name in names]


def columns(rows: Iterable[Sequence[Any]], count: int) -> list[list[Any]]:
    """Turn rows of `count` values into as many columns."""
    found = [list(column) for column in zip(*rows, strict=True)]
    return found or [[] for _ in range(count)]


def limits_of(message: Message) -> str | None:
    """Return the column that names a message's limits, each once; null if there are none."""
    return _json(list(dict.fromkeys(message.limits))).decode() if message.limits else None


def new_job(message: Message, now: float) -> Job:
    """Make what is stored of a message that is published; its lane is the caller's to say."""
    return Job(
        serial=None,
        place=now + message.delay if message.due is None else message.due,
        due=None,
        enqueued=now,
        expires=message.expiry(now),
        lease_until=None,
        started=None,
        rank=None,
        keep_cancelled=None,
        attempt=0,
        failures=0,
        losses=0,
        releases=0,
        unknown=0,
        version=1,
        state=NUMBERS[State.QUEUED],
        band=message.band,
        kind=KIND_NUMBERS[message.kind],
        lane=0,
        id=message.id,
        task=message.task,
        queue=message.queue,
        key=message.key,
        limited_by=limits_of(message),
        waits_for=None,
        holder=None,
        settled=None,
        head=head_of(message),
        body=message.body,
        error=None,
        changed=True,
    )


def place_of(row: Row) -> tuple[float, int]:
    """What claimed rows are put in order by: `returning` promises none."""
    return row[0], row[1]


def taken_of(row: Row, queue: str, band: int, holder: str) -> Delivery:
    """Make a delivery of a row of `look_and_claim`, which leaves out what is the same in all."""
    place, _, due, job_id, task, enqueued, attempt, counts, key, head, body = row
    message, unreadable = message_of((job_id, task, queue, band, key, head, body))
    failures, losses, releases, unknown = counts or _NO_COUNTS
    return Delivery(
        message=message,
        fence=Fence(job_id, attempt, holder),
        failures=failures,
        losses=losses,
        releases=releases,
        unknown=unknown,
        enqueued=enqueued,
        due=place if due is None else due,
        unreadable=unreadable,
    )
