"""Bringing into force what code declares: topics, subscriptions, and a cursor in each partition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from ropeway.errors import Refused, TopologyConflict
from ropeway.ids import new_id
from ropeway.message import JobRecord, Message, job_key
from ropeway.retry import RetryPolicy
from ropeway.states import State
from ropeway.store import Store
from ropeway.topics.positions import resolve
from ropeway.topics.records import (
    DRIVER,
    STAMP,
    Cursor,
    Start,
    SubscriptionRecord,
    TopicRecord,
    cursor_records,
    decode_cursor,
    decode_subscription,
    decode_topic,
    encode,
    log_of,
    subscription_key,
    topic_key,
    topics_of,
)
from ropeway.transition import Put, Revive, Transition, Update

DRIVER_POLICY = RetryPolicy(retries=1_000_000, cap=10.0, max_losses=1_000_000)
"""Of the message of a cursor: whatever happens to its holder, another goes on."""

_TRIES = 10
_decode_job = msgspec.msgpack.Decoder(JobRecord).decode


async def declare_topics(store: Store, topics: Iterable[TopicRecord]) -> None:
    """Make topics, or give them what is kept of them now; raises `TopologyConflict`."""
    for topic in topics:
        for _ in range(_TRIES):
            if await _declare_topic(store, topic):
                break
        else:
            raise Refused(f"topic {topic.name!r} is changed all the time by others")


async def _declare_topic(store: Store, topic: TopicRecord) -> bool:
    key = topic_key(topic.name)
    (record,) = await store.get([key])
    if record is None:
        made = replace(topic, created=await store.now())
        change = Transition(expect={key: 0}, put=(Put(key, encode(made)), Put(STAMP, b"")))
    else:
        there = decode_topic(record.value)
        if there.partitions != topic.partitions:
            raise TopologyConflict(
                f"topic {topic.name!r} is there with partitions={there.partitions}, and is wanted "
                f"with partitions={topic.partitions}",
                hint="declare it as it is: events of a key stay in order in one partition only",
            )
        if there == replace(topic, created=there.created):
            return True
        changed = replace(topic, created=there.created)
        change = Transition(expect={key: record.version}, put=(Put(key, encode(changed)),))
    (answer,) = await store.commit([change])
    return answer.ok


async def declare_subscriptions(store: Store, subscriptions: Iterable[SubscriptionRecord]) -> None:
    """Make subscriptions, with their cursors; what is there stays where it is."""
    for wanted in subscriptions:
        key = subscription_key(wanted.task)
        (record,) = await store.get([key])
        there = None if record is None else decode_subscription(record.value)
        created = await store.now() if there is None else there.created
        new = replace(wanted, created=created)
        if new != there:
            await store.commit([Transition(put=(Put(key, encode(new)),))])
        await follow(store, new, fresh=there is None)


async def follow(store: Store, subscription: SubscriptionRecord, *, fresh: bool = False) -> None:
    """See that a subscription has a cursor, and somebody to hold it, wherever it should.

    One that is not `fresh` gets nothing but what topics that were made after it ask for.
    """
    for _ in range(_TRIES):
        there = await guard_of(store, subscription.task)
        changes = await _lacking(store, subscription, there, fresh=fresh) if there else []
        answers = await store.commit(changes) if changes else []
        if not any(answer.key in there for answer in answers):
            break  # else it has been changed, or removed, in between


async def guard_of(store: Store, task: str) -> dict[str, int]:
    """Return what a transition expects for which a subscription has to be there; empty if it is not.

    A cursor without a subscription would hold back what is kept for ever.
    """
    key = subscription_key(task)
    (record,) = await store.get([key])
    return {} if record is None else {key: record.version}


async def _lacking(
    store: Store, subscription: SubscriptionRecord, there: Mapping[str, int], *, fresh: bool
) -> list[Transition]:
    topics = await topics_of(store, subscription.pattern)
    records = iter(await cursor_records(store, topics, subscription.task))
    changes: list[Transition] = []
    for topic in topics:
        later = not fresh and topic.created > subscription.created
        start = Start("start") if later else subscription.start
        for partition in range(topic.partitions):
            record = next(records)
            if record is None:
                offset = await resolve(store, log_of(topic.name, partition), start)
                changes.append(begin(subscription, topic.name, partition, offset, there))
            else:
                changes += await _kept_up(store, subscription, [decode_cursor(record.value)])
    return changes


def begin(
    subscription: SubscriptionRecord,
    topic: str,
    partition: int,
    offset: int,
    there: Mapping[str, int],
    *,
    replay: str = "",
    until: int | None = None,
) -> Transition:
    """Return what makes a cursor, and the message whose lease its holder will have.

    `there` is what `guard_of` says of the subscription.
    """
    cursor = Cursor(
        topic=topic,
        partition=partition,
        subscription=subscription.task,
        job=new_id(),
        offset=offset,
        replay=replay,
        until=until,
    )
    put = Put(cursor.key, encode(cursor))
    message = driver_message(cursor, subscription.queue, subscription.band)
    return Transition(expect={cursor.key: 0, **there}, put=(put,), publish=(message,))


def driver_message(cursor: Cursor, queue: str, band: int) -> Message:
    """Return the message of a cursor: it is open as long as the cursor is there."""
    return Message(
        id=cursor.job,
        task=DRIVER,
        body=msgspec.json.encode({"cursor": cursor.key}),
        queue=queue,
        band=band,
        kind="loop",
        policy=DRIVER_POLICY,
    )


def _place(message: Message) -> tuple[str, int]:
    return message.queue, message.band


async def _kept_up(
    store: Store, subscription: SubscriptionRecord, cursors: Sequence[Cursor]
) -> list[Transition]:
    """Return what gives cursors their messages back, where a person or an accident ended them.

    One that waits in another queue than its subscription has now goes there.
    """
    changes: list[Transition] = []
    jobs = await store.get([job_key(cursor.job) for cursor in cursors])
    for cursor, record in zip(cursors, jobs, strict=True):
        message = driver_message(cursor, subscription.queue, subscription.band)
        if record is None:
            changes.append(Transition(publish=(message,)))
            continue
        job = _decode_job(record.value)
        if job.state.final:
            revive = Revive(cursor.job, message=message)
            expect = {job_key(cursor.job): record.version}
            changes.append(Transition(expect=expect, revive=(revive,)))
        elif job.state is State.QUEUED and _place(job.message) != _place(message):
            update = Update(cursor.job, queue=message.queue, band=message.band)
            changes.append(Transition(update=(update,)))
    return changes
