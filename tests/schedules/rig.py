"""What tests of firing share: calls, schedules of one second, and accounts of what was sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from ropeway.cron.timetable import Timetable, iso
from ropeway.message import INSTANT_HEADER, SCHEDULE_HEADER, JobRecord, Message, job_key
from ropeway.schedules.changing import add
from ropeway.schedules.record import DUE, job_of
from ropeway.store import Backend, Filter

_decode_job = msgspec.msgpack.Decoder(JobRecord).decode
SECONDS = Timetable(cron="* * * * *", seconds="*", grace=600.0)
"""Due every second; what is late is not missed for ten minutes."""


def call(task: str = "tick") -> Message:
    """Return the call of a schedule."""
    return Message(id="", task=task)


async def every_second(store: Backend, number: int, **given: float) -> list[str]:
    """Make schedules that are due every second, and return their names."""
    names = [f"s{each:05d}" for each in range(number)]
    table = msgspec.structs.replace(SECONDS, **given)
    for name in names:
        await add(store, name, call(), table, "test")
    return names


async def jobs(store: Backend) -> list[JobRecord]:
    """Return all jobs there are."""
    found, before = list[JobRecord](), None
    while True:
        page = await store.search(Filter(), before, 1_000)
        found += page.jobs
        before = page.older
        if before is None:
            return found


async def sent(store: Backend) -> Counter[tuple[str, str]]:
    """Return how often each (schedule, instant) was sent."""
    headers = [each.message.headers for each in await jobs(store)]
    return Counter((each[SCHEDULE_HEADER], each[INSTANT_HEADER]) for each in headers)


def wanted(names: Sequence[str], first: int, last: int) -> dict[tuple[str, str], int]:
    """Return what is to be sent for each second from `first` to `last`, both with them: one each."""
    return {(name, iso(float(each))): 1 for name in names for each in range(first, last + 1)}


async def dues(store: Backend) -> list[str]:
    """Return the keys of what is due."""
    return [each.key for each in await store.scan(DUE, limit=1_000)]


async def late(store: Backend, names: Sequence[str], seconds: Iterable[int]) -> list[float]:
    """Return by how many seconds each instant was sent late, by the store's clock, sorted."""
    found: list[float] = []
    all_of = list(seconds)
    for name in names:
        ids = {each: job_of(name, float(each)) for each in all_of}
        records = await store.get([job_key(each) for each in ids.values()])
        found += [
            _decode_job(record.value).enqueued - instant
            for instant, record in zip(ids, records, strict=True)
            if record is not None
        ]
    return sorted(found)
