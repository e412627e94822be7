"""Pausing a queue: a record in the store that every worker looks for, until a person removes it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from ropeway.resources import split
from ropeway.store import Store
from ropeway.transition import Drop, Put, Record, Transition
from ropeway.words import relative

PREFIX = "paused/"
LOOK_EVERY = 0.4
"""Seconds between two looks of a worker; with its wait for messages it hears within a second."""


class Pause(Struct, frozen=True, kw_only=True):
    """Why nothing is claimed from a queue: who paused it, when, and the reason they gave."""

    queue: str
    by: str
    since: float
    why: str = ""


async def pause(store: Store, queue: str, *, by: str, why: str = "") -> Pause:
    """Have no worker claim from `queue` until `resume`; what runs goes on. A later pause wins."""
    made = Pause(queue=queue, by=by, since=await store.now(), why=why)
    await store.commit([Transition(put=(Put(PREFIX + queue, msgspec.msgpack.encode(made)),))])
    return made


async def resume(store: Store, queue: str) -> bool:
    """Have workers claim from `queue` again; tells whether it was paused."""
    (there,) = await store.get([PREFIX + queue])
    await store.commit([Transition(drop=(Drop(PREFIX + queue),))])
    return there is not None


async def paused(store: Store) -> dict[str, Pause]:
    """Return every pause, by the name of its queue."""
    found: dict[str, Pause] = {}
    page: Sequence[Record] = await store.scan(PREFIX)
    while page:
        found |= {pause.queue: pause for pause in map(_read, page)}
        page = await store.scan(PREFIX, after=page[-1].key)
    return found


def holding(pauses: Mapping[str, Pause], queue: str) -> Pause | None:
    """Return the pause that holds a queue: its own, or that of the one that it is beside."""
    return pauses.get(queue) or pauses.get(split(queue)[0])


def in_words(pause: Pause, now: float) -> str:
    """Say who paused a queue, when and why."""
    why = f": {pause.why}" if pause.why else ", no reason given"
    return f"by {pause.by}, {relative(now - pause.since)}{why}"


def _read(record: Record) -> Pause:
    """Read a pause; one that a later version wrote otherwise is still a pause."""
    try:
        return msgspec.msgpack.decode(record.value, type=Pause)
    except msgspec.DecodeError:
        queue = record.key.removeprefix(PREFIX)
        return Pause(queue=queue, by="?", since=0.0, why="its record cannot be read")


class Pauses:
    """What a worker knows of the pauses; it looks again when that is older than `LOOK_EVERY`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queues: frozenset[str] = frozenset()
        self._looked = float("-inf")

    async def open_ones(self, queues: Sequence[str]) -> Sequence[str]:
        """Return those of `queues` that are not paused, nor beside one that is."""
        if time.monotonic() - self._looked > LOOK_EVERY:
            self._queues = frozenset(await paused(self._store))
            self._looked = time.monotonic()
        if not self._queues:
            return queues
        return [queue for queue in queues if self._queues.isdisjoint((queue, split(queue)[0]))]
