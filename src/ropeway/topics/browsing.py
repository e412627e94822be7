"""Looking into the history of topics, and how far subscriptions have come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway import topology
from ropeway.codec import Undecodable
from ropeway.message import JobRecord, job_key
from ropeway.routing import Binding
from ropeway.store import Store
from ropeway.topics.delivery import done_offsets
from ropeway.topics.events import Event, data_of, event_of, stored_of
from ropeway.topics.positions import first_offset, last_offset, offset_before
from ropeway.topics.records import (
    Cursor,
    SubscriptionRecord,
    TopicRecord,
    all_subscriptions,
    cursors_of,
    decode_subscription,
    fits,
    inlet_of,
    log_of,
    partition_of,
    subscription_key,
)
from ropeway.topology import Topology
from ropeway.transition import Entry

_PAGE = 500
_decode_job = msgspec.msgpack.Decoder(JobRecord).decode


class Unreadable(Struct, frozen=True):
    """What `data` of an event is where it cannot be read as its topic's type: why, and as it is."""

    reason: str
    data: bytes


class SubscriptionInfo(Struct, frozen=True, kw_only=True):
    """How a subscription stands in one partition of a topic.

    `lag` is how many events it has not read, `oldest` the age of the first of those in seconds,
    `parked` how many keys or events wait as jobs of their own, and `missed` how many were removed
    before it read them, the last ones those of `gap`. `holder` is the worker that has it now. With
    an `exchange` it is that which gets the events.
    """

    topic: str
    partition: int
    name: str
    pattern: str
    offset: int
    lag: int
    oldest: float | None
    parked: int
    missed: int
    gap: tuple[int, int] | None
    holder: str | None
    replay: str
    until: int | None
    exchange: str = ""


class TopicInfo(Struct, frozen=True, kw_only=True):
    """A topic and how much is kept of it: its events by number, and since when.

    By its `bindings` exchanges feed it.
    """

    topic: TopicRecord
    events: int
    published: int
    oldest: float | None
    subscriptions: int
    bindings: tuple[Binding, ...] = ()


def read_event(topic: str, partition: int, entry: Entry, kind: Any) -> Event[Any] | None:
    """Decode an entry of a log; None if it holds no event."""
    stored = stored_of(entry)
    if stored is None:
        return None
    data = data_of(stored, kind)
    if isinstance(data, Undecodable):
        data = Unreadable(data.reason, stored.data)
    return event_of(topic, partition, entry, stored, data)


class Asked(Struct, frozen=True, kw_only=True):
    """Which events of a topic somebody wants to see: at most `limit`, the newest or the oldest."""

    since: datetime | None = None
    until: datetime | None = None
    after: int | None = None
    key: str | None = None
    partition: int | None = None
    limit: int = 100
    newest: bool = True


async def history(store: Store, topic: TopicRecord, asked: Asked, kind: Any) -> list[Event[Any]]:
    """Return events, oldest first."""
    partitions: Sequence[int] = range(topic.partitions)
    if asked.key is not None:
        partitions = [partition_of(asked.key, topic.partitions)]
    elif asked.partition is not None:
        partitions = [asked.partition]
    found: list[Event[Any]] = []
    for partition in partitions:
        found += await _of_partition(store, topic.name, partition, asked, kind)
    found.sort(key=lambda event: (event.time, event.offset))
    return found[-asked.limit :] if asked.newest else found[: asked.limit]


async def _of_partition(
    store: Store, topic: str, partition: int, asked: Asked, kind: Any
) -> list[Event[Any]]:
    log = log_of(topic, partition)
    low = await first_offset(store, log) - 1 if asked.after is None else asked.after
    if asked.since is not None:
        low = max(low, await offset_before(store, log, asked.since.timestamp()))
    high = await last_offset(store, log)
    if asked.until is not None:
        high = await offset_before(store, log, asked.until.timestamp())
    found: list[Event[Any]] = []
    while low < high and len(found) < asked.limit:
        # From the one end or the other, by pages: a key may be in few of them.
        first = max(low, high - _PAGE) if asked.newest else low
        entries = await store.read(log, first, min(_PAGE, high - first))
        page = [
            event
            for entry in entries
            if entry.offset <= high
            and (event := read_event(topic, partition, entry, kind)) is not None
            and (asked.key is None or event.key == asked.key)
        ]
        found = [*page, *found] if asked.newest else [*found, *page]
        if asked.newest:
            high = first
        else:
            low = entries[-1].offset if entries else high
    return found


async def topic_info(store: Store, topic: TopicRecord) -> TopicInfo:
    """Say how much is kept of a topic."""
    return (await topic_infos(store, [topic]))[0]


async def topic_infos(store: Store, topics: Sequence[TopicRecord]) -> list[TopicInfo]:
    """Say of each topic how much is kept of it."""
    there, subscriptions = await topology.load(store), await all_subscriptions(store)
    return [await _info(store, each, there, subscriptions) for each in topics]


async def _info(
    store: Store, topic: TopicRecord, there: Topology, subscriptions: Sequence[SubscriptionRecord]
) -> TopicInfo:
    kept = published = 0
    oldest: float | None = None
    for partition in range(topic.partitions):
        log = log_of(topic.name, partition)
        last = await last_offset(store, log)
        first = await store.read(log, 0, 1)
        published += last
        if first and first[0].value:
            kept += last - first[0].offset + 1
            oldest = min(first[0].appended, oldest or first[0].appended)
    inlet = inlet_of(topic.name)
    return TopicInfo(
        topic=topic,
        events=kept,
        published=published,
        oldest=oldest,
        subscriptions=sum(fits(each.pattern, topic.name) for each in subscriptions),
        bindings=tuple(
            each for each in there.bindings if each.to == inlet and not each.to_exchange
        ),
    )


async def standings(store: Store, topic: TopicRecord) -> list[SubscriptionInfo]:
    """Say how every subscription to a topic stands, in each partition."""
    cursors, now = await cursors_of(store, topic), await store.now()
    jobs = await store.get([job_key(each.job) for each in cursors])
    tasks = list(dict.fromkeys(each.subscription for each in cursors))
    records = await store.get([subscription_key(each) for each in tasks])
    feeding = {
        task: decode_subscription(each.value).exchange
        for task, each in zip(tasks, records, strict=True)
        if each is not None
    }
    found: list[SubscriptionInfo] = []
    for cursor, record in zip(cursors, jobs, strict=True):
        job = None if record is None else _decode_job(record.value)
        standing = await _standing(store, cursor, job, now)
        found.append(replace(standing, exchange=feeding.get(cursor.subscription, "")))
    return found


async def _open_jobs(store: Store, ids: list[str]) -> int:
    records = await store.get([job_key(each) for each in ids])
    return sum(each is not None and not _decode_job(each.value).state.final for each in records)


async def _standing(
    store: Store, cursor: Cursor, job: JobRecord | None, now: float
) -> SubscriptionInfo:
    end = await last_offset(store, cursor.log) if cursor.until is None else cursor.until
    first = await store.read(cursor.log, cursor.offset, 1)
    lag = max(0, end - cursor.offset - len(done_offsets(cursor)))
    pattern, _, name = cursor.subscription.rpartition("/")
    return SubscriptionInfo(
        topic=cursor.topic,
        partition=cursor.partition,
        name=name,
        pattern=pattern,
        offset=cursor.offset,
        lag=lag,
        oldest=max(0.0, now - first[0].appended) if first and lag else None,
        parked=await _open_jobs(store, list(cursor.parked.values())),
        missed=cursor.missed,
        gap=cursor.gap,
        holder=None if job is None or job.state.final else job.holder,
        replay=cursor.replay,
        until=cursor.until,
    )
