"""Many changes of one run, cut into commits of a bounded size."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from ropeway.errors import Refused
from ropeway.message import Message
from ropeway.runs.records import CHUNK
from ropeway.store import Backend
from ropeway.transition import Join, Transition

_BYTES = 1_000_000
"""Bytes of messages in one commit, roughly."""


def publishing(messages: Sequence[Message]) -> list[Transition]:
    """Return what publishes messages, so many in a commit; what is there already stays as it is."""
    parts = (messages[first : first + CHUNK] for first in range(0, len(messages), CHUNK))
    return [Transition(publish=tuple(part)) for part in parts]


def chunks(joins: Sequence[Join]) -> Iterator[tuple[Join, ...]]:
    """Cut joins into commits of a bounded size."""
    part, size = list[Join](), 0
    for join in joins:
        part.append(join)
        size += sum(len(each.body) for each in join.then)
        if len(part) >= CHUNK or size > _BYTES:
            yield tuple(part)
            part, size = [], 0
    if part:
        yield tuple(part)


async def commit_all(store: Backend, transitions: Sequence[Transition]) -> None:
    """Commit transitions, some at a time; raises `Refused` if one does not stand."""
    remaining = iter(transitions)
    while some := list(itertools.islice(remaining, 4)):
        for answer in await store.commit(some):
            if not answer.ok:
                raise Refused(f"a step of the run was refused: {answer.reason} ({answer.key})")
