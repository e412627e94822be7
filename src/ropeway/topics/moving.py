"""Setting a subscription's cursor, replaying to it, and removing it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from ropeway.errors import Refused, SubscriptionNotFound
from ropeway.ids import new_id
from ropeway.store import Store
from ropeway.topics.declaring import begin, guard_of
from ropeway.topics.delivery import bits, done_offsets
from ropeway.topics.positions import first_offset, resolve
from ropeway.topics.records import (
    Cursor,
    Start,
    SubscriptionRecord,
    TopicRecord,
    all_topics,
    cursor_records,
    cursors_of,
    decode_cursor,
    decode_subscription,
    encode,
    fits,
    log_of,
    subscription_key,
    topics_of,
)
from ropeway.transition import Cancel, Drop, Put, Transition

_TRIES = 20
_KEPT = 3600.0


class Moved(Struct, frozen=True, kw_only=True):
    """How many events a subscription gets, again or for the first time, or does not get."""

    topic: str
    partition: int
    after: int
    upto: int

    @property
    def count(self) -> int:
        """How many events that is about; some of them may not be wanted by its filter."""
        return max(0, self.upto - self.after)


async def found(store: Store, task: str) -> SubscriptionRecord:
    """Return a subscription; raises `SubscriptionNotFound`."""
    (record,) = await store.get([subscription_key(task)])
    if record is None:
        raise SubscriptionNotFound(
            f"there is no subscription {task}", hint="see: ropeway topics subscriptions"
        )
    return decode_subscription(record.value)


async def move(
    store: Store, task: str, to: Start, *, back: bool, dry_run: bool = False
) -> list[Moved]:
    """Set the cursors of a subscription back, or forth, and no other way; returns how far."""
    subscription = await found(store, task)
    moved: list[Moved] = []
    for topic in await topics_of(store, subscription.pattern):
        for partition in range(topic.partitions):
            offset = await resolve(store, log_of(topic.name, partition), to)
            change = _mover(offset, back=back)
            done = await _change(store, topic, partition, task, change, dry_run=dry_run)
            if done is not None:
                low, high = sorted((done.offset, offset))
                moved.append(Moved(topic=topic.name, partition=partition, after=low, upto=high))
    return moved


def _mover(offset: int, *, back: bool) -> Callable[[Cursor], Cursor | None]:
    def change(cursor: Cursor) -> Cursor | None:
        if (offset >= cursor.offset) if back else (offset <= cursor.offset):
            return None
        generation = cursor.generation + back
        # Set back, all is to be got again; set forth, what lies behind and is done stays done.
        done = [] if back else [each for each in done_offsets(cursor) if each > offset]
        return replace(
            cursor, offset=offset, done=bits(offset, done), clean=True, generation=generation
        )

    return change


async def _change(
    store: Store,
    topic: TopicRecord,
    partition: int,
    task: str,
    change: Callable[[Cursor], Cursor | None],
    *,
    dry_run: bool,
) -> Cursor | None:
    """Change one cursor, whoever holds it; returns what it was, or None if there is no change."""
    for _ in range(_TRIES):
        records = await cursor_records(store, [topic], task)
        record = records[partition]
        if record is None:
            return None
        cursor = decode_cursor(record.value)
        changed = change(cursor)
        if changed is None or dry_run:
            return None if changed is None else cursor
        put = Put(cursor.key, encode(changed))
        expect = {cursor.key: record.version}
        (answer,) = await store.commit([Transition(expect=expect, put=(put,))])
        if answer.ok:
            return cursor
    raise Refused(f"{task} moves all the time", hint="try again")


async def replay(
    store: Store, task: str, since: Start, until: Start, *, dry_run: bool
) -> list[Moved]:
    """Have events from `since` up to `until` go to one subscription again, beside what is new."""
    subscription, there = await found(store, task), await guard_of(store, task)
    moved: list[Moved] = []
    changes: list[Transition] = []
    name = new_id()
    for topic in await topics_of(store, subscription.pattern):
        for partition in range(topic.partitions):
            log = log_of(topic.name, partition)
            low, high = await resolve(store, log, since), await resolve(store, log, until)
            low = max(low, await first_offset(store, log) - 1)
            each = Moved(topic=topic.name, partition=partition, after=low, upto=high)
            if each.count:
                moved.append(each)
                args = (subscription, topic.name, partition, low, there)
                changes.append(begin(*args, replay=name, until=high))
    if changes and not dry_run:
        answers = await store.commit(changes)
        if not all(answer.ok for answer in answers):
            await found(store, task)  # raises if it has been removed in between
            raise Refused(f"{task} is changed just now", hint="try again")
    return moved


async def remove(store: Store, task: str) -> None:
    """Remove a subscription, with its cursors: nothing is kept for it any more."""
    subscription = await found(store, task)
    key = subscription_key(task)
    gone: tuple[Drop, ...] = (Drop(key),)
    guard: dict[str, int] = {}
    # The second time for what was made while it was looked: without the subscription nobody can. If
    # there is one of that name again, the cursors are that one's.
    for _ in range(2):
        topics = [each for each in await all_topics(store) if fits(subscription.pattern, each.name)]
        cursors = [each for topic in topics for each in await cursors_of(store, topic)]
        mine = [each for each in cursors if each.subscription == task]
        drops = (*gone, *(Drop(each.key) for each in mine))
        cancels = tuple(Cancel(each.job, keep=_KEPT) for each in mine)
        if drops:
            await store.commit([Transition(expect=guard, drop=drops, cancel=cancels)])
        gone, guard = (), {key: 0}
