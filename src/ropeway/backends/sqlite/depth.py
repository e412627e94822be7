"""How many wait in a queue that is bounded: counted once in a transaction, and kept up in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.ops import Writing
from ropeway.message import Message
from ropeway.store import queue_name
from ropeway.transition import Answer

_MORE = 10_000
"""Counting stops when so many are too many: more than one transaction can end."""


def guard_room(
    writing: Writing, room: Mapping[str, int], fresh: Iterable[Message]
) -> Answer | None:
    """Refuse what is more than its queue has room for."""
    coming = Counter(message.queue for message in fresh)
    for queue, most in room.items():
        if queue in coming and (waiting := _depth(writing, queue, most)) + coming[queue] > most:
            key = queue_name(queue)
            return Answer(status="refused", reason="full", key=key, current=waiting)
    return None


def changed(writing: Writing, queue: str, by: int) -> None:
    """So many more wait in a queue, or fewer."""
    if queue in writing.depths:
        writing.depths[queue] += by


def _depth(writing: Writing, queue: str, most: int) -> int:
    if queue not in writing.depths:
        writing.depths[queue] = writing.execute(sql.DEPTH, (queue, most + _MORE)).get
    return writing.depths[queue]
