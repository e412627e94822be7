"""Removing events: what retention lets go, what a person purges, and a whole topic."""

from __future__ import annotations

from collections.abc import Sequence

from ropeway import topology
from ropeway.store import Store
from ropeway.topics.events import MARKER
from ropeway.topics.positions import first_offset, last_offset, offset_before, resolve
from ropeway.topics.records import (
    STAMP,
    Cursor,
    Start,
    TopicRecord,
    cursors_of,
    inlet_of,
    log_of,
    topic_key,
)
from ropeway.topics.retention import Facts, Retention, trim_to
from ropeway.transition import Append, Cancel, Drop, Put, Transition, Trim

_STEP = 1_000
"""Events that are removed in one commit: others get their turn in between."""

_SAMPLES, _EACH = 10, 20


async def retain(store: Store, topic: TopicRecord) -> int:
    """Remove what need not be kept of a topic; returns how many events."""
    removed = 0
    cursors = await cursors_of(store, topic)
    now = await store.now()
    for partition in range(topic.partitions):
        log = log_of(topic.name, partition)
        facts = await _facts(store, topic.keep, log, now, _needed(cursors, partition))
        upto = trim_to(topic.keep, topic.partitions, facts)
        removed += await _trim(store, log, facts.first, upto, facts.last)
    return removed


async def _facts(store: Store, keep: Retention, log: str, now: float, needed: int | None) -> Facts:
    first, last = await first_offset(store, log), await last_offset(store, log)
    aged = 0
    if isinstance(keep.age, float | int) and last:
        aged = await offset_before(store, log, now - keep.age)
    mean = await _mean(store, log, first, last) if keep.bytes is not None and last else 0.0
    return Facts(first=first, last=last, aged=aged, mean=mean, needed=needed)


async def _mean(store: Store, log: str, first: int, last: int) -> float:
    """Return about how many bytes an entry has, from samples all over the log."""
    sizes: list[int] = []
    for number in range(_SAMPLES):
        after = first - 1 + (last - first) * number // _SAMPLES
        sizes += [len(entry.value) for entry in await store.read(log, after, _EACH)]
    return sum(sizes) / len(sizes) if sizes else 0.0


def _needed(cursors: Sequence[Cursor], partition: int) -> int | None:
    return min((each.offset for each in cursors if each.partition == partition), default=None)


async def _trim(store: Store, log: str, first: int, upto: int, last: int) -> int:
    if upto < first:
        return 0
    if upto >= last:
        newest = await store.read(log, -1, 1)
        if newest and newest[0].value == MARKER:
            upto = last - 1  # nothing else is left
        else:
            await store.commit([Transition(append=(Append(log, MARKER),))])
    for offset in range(min(first + _STEP - 1, upto), upto + _STEP, _STEP):
        await store.commit([Transition(trim=(Trim(log, min(offset, upto)),))])
    return max(0, upto - first + 1)


async def purge(
    store: Store, topic: TopicRecord, before: Start, *, unread: bool, dry_run: bool = False
) -> int:
    """Remove the events of a topic from before a place; returns how many."""
    removed = 0
    cursors = await cursors_of(store, topic)
    for partition in range(topic.partitions):
        log = log_of(topic.name, partition)
        upto = await resolve(store, log, before)
        needed = _needed(cursors, partition)
        if needed is not None and not unread:
            upto = min(upto, needed)
        first, last = await first_offset(store, log), await last_offset(store, log)
        if dry_run:
            removed += await _kept(store, log, first, min(upto, last))
        elif last:
            removed += await _trim(store, log, first, upto, last)
    return removed


async def _kept(store: Store, log: str, first: int, upto: int) -> int:
    """Count the events up to an offset; the mark at the end of an empty log is none."""
    newest = await store.read(log, max(0, upto - 1), 1) if upto >= first else []
    marked = bool(newest) and newest[0].value == MARKER
    return max(0, upto - first + 1) - marked


async def remove_topic(store: Store, topic: TopicRecord) -> None:
    """Remove a topic: its record, the cursors in it with their messages, and its events.

    No exchange is bound to it any more.

    Offsets go on if it is made again, so that nobody takes a new event for an old one.
    """
    cursors = await cursors_of(store, topic)
    drops = (Drop(topic_key(topic.name)), *(Drop(each.key) for each in cursors))
    cancels = tuple(Cancel(each.job, keep=0.0) for each in cursors)
    await store.commit([Transition(put=(Put(STAMP, b""),), drop=drops, cancel=cancels)])
    await topology.delete(store, queues=[inlet_of(topic.name)])
    await purge(store, topic, Start("now"), unread=True)
