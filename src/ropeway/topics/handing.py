"""Handing out events without a worker that holds cursors: in tests, where nothing runs by itself."""

from __future__ import annotations

from ropeway.store import Store
from ropeway.topics.delivery import MOST_OPEN, Fact, Handler, Window
from ropeway.topics.events import stored_of
from ropeway.topics.records import (
    CURSORS,
    SubscriptionRecord,
    decode_cursor,
    encode,
    scanned,
    topics_of,
    wants,
)
from ropeway.transition import Drop, Put, Record, Transition


async def hand_out(store: Store, subscription: SubscriptionRecord, handler: Handler) -> int:
    """Have every event that a subscription has not read become a job; returns how many entries."""
    handed = 0
    for topic in await topics_of(store, subscription.pattern):
        async for record in scanned(store, f"{CURSORS}{topic.name}/"):
            if decode_cursor(record.value).subscription == subscription.task:
                handed += await _of(store, subscription, handler, record)
    return handed


async def _of(
    store: Store, subscription: SubscriptionRecord, handler: Handler, record: Record
) -> int:
    cursor = decode_cursor(record.value)
    window, facts = Window(cursor), list[Fact]()
    until = float("inf") if cursor.until is None else cursor.until
    read = await store.read(cursor.log, cursor.offset, MOST_OPEN)
    entries = [entry for entry in read if entry.offset <= until]
    if not entries and cursor.until is None:
        return 0
    for entry in entries:
        stored = stored_of(entry)
        if stored is not None and wants(subscription, stored.headers):
            facts.append(Fact(entry, stored))
        window.begin(entry.offset)
        window.end(entry.offset)
    moved = window.moved(cursor)
    expect = {cursor.key: record.version}
    publish = tuple(handler.parked(cursor, fact, None) for fact in facts)
    if entries:
        change = Transition(expect=expect, put=(Put(cursor.key, encode(moved)),), publish=publish)
    else:
        change = Transition(expect=expect, drop=(Drop(cursor.key),))
    await store.commit([change])
    return max(1, len(entries))
