"""Publishing: events become entries of the logs of their topic, in as few commits as possible."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from ropeway.errors import MessageTooLarge
from ropeway.joint import append_jointly
from ropeway.source import Stores
from ropeway.store import Store
from ropeway.topics.events import Stored, encode_stored
from ropeway.topics.records import TopicRecord, log_of, partition_of
from ropeway.transition import Append, Transition

_CHUNK, _CHUNK_BYTES = 500, 1_048_576

_turns = itertools.count()
"""Events without a key go to one partition after the other, in lots."""


def placed(topic: TopicRecord, events: Iterable[Stored], most: int) -> list[tuple[int, Append]]:
    """Return for each event its partition and its entry; raises `MessageTooLarge`."""
    lot = next(_turns) % topic.partitions
    logs = [log_of(topic.name, number) for number in range(topic.partitions)]
    found: list[tuple[int, Append]] = []
    for event in events:
        number = lot if event.key is None else partition_of(event.key, topic.partitions)
        value = encode_stored(event)
        if len(value) > most:
            raise MessageTooLarge(
                f"an event of topic {topic.name} takes {len(value):,} bytes, more than "
                f"max_message={most:,}",
                hint="keep the data elsewhere, and publish a reference to it (a path, a key)",
            )
        found.append((number, Append(logs[number], value)))
    return found


async def publish(
    app: Stores, topic: TopicRecord, events: Sequence[Stored], connection: Any = None
) -> list[int]:
    """Append events that are published together; return for the last of each partition its offset.

    Durable when it returns. What goes into one commit is there as a whole, or not at all. Over a
    `connection` of the caller's it is there when that has committed, and its offset is not known: 0.
    """
    most = app.settings.max_message
    if connection is None:
        return await append(app.store, topic, events, most)
    await append_jointly(app, [each for _, each in placed(topic, events, most)], connection)
    return [0 for _ in events]


async def append(
    store: Store, topic: TopicRecord, events: Sequence[Stored], most: int
) -> list[int]:
    """Append events of at most `most` bytes each."""
    placed_events = placed(topic, events, most)
    (answer,) = await store.commit(
        [Transition(append=tuple(append for _, append in placed_events))]
    )
    last = answer.offsets
    return [last[append.log] for _, append in placed_events]


def chunks(events: Iterable[Stored]) -> Iterable[list[Stored]]:
    """Part events into what one commit should hold, by number and by bytes."""
    chunk: list[Stored] = []
    held = 0
    for event in events:
        chunk.append(event)
        held += len(event.data)
        if len(chunk) == _CHUNK or held > _CHUNK_BYTES:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk
