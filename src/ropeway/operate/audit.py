"""The audit log: who did what by hand, when, to what, and what came of it.

An entry is written before the deed and completed after it, so that a deed whose program died on the
way is on record as well, as one that has begun. Entries end by themselves after `KEPT`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway.ids import new_id
from ropeway.operate.roles import Action
from ropeway.store import Store
from ropeway.transition import Put, Record, Transition

KEPT = 90 * 86_400.0
"""Seconds for which an entry stays."""

_PREFIX = "audit/"
_LAST = 10**16 - 1  # the end of time, in microseconds, so that keys count backwards

_encode = msgspec.msgpack.encode


class Entry(Struct, frozen=True, kw_only=True):
    """One deed. `target` names what it was done to; `via` is the door: the command line, the web.

    `outcome` is "begun", "done" or "refused"; `told` says more in words.
    """

    at: float
    by: str
    via: str
    action: Action
    target: str
    why: str = ""
    outcome: str = "begun"
    told: str = ""


class Deed:
    """What is done now; `told` is for the log."""

    told: str = ""


class Audit(Struct, frozen=True):
    """A page of the log, newest first; `older` is what to give as `after` for the next one."""

    entries: list[Entry]
    older: str = ""


@asynccontextmanager
async def noted(
    store: Store, action: Action, target: str, *, by: str, via: str, why: str = ""
) -> AsyncIterator[Deed]:
    """Have what is done in the block on record, also when it fails."""
    now = await store.now()
    entry = Entry(at=now, by=by, via=via, action=action, target=target, why=why)
    key = f"{_PREFIX}{_LAST - int(now * 1e6):016d}/{new_id()}"
    await _write(store, key, entry)
    deed = Deed()
    try:
        yield deed
    except Exception as error:
        told = f"{type(error).__name__}: {error}".partition("\n")[0]
        await _write(store, key, replace(entry, outcome="refused", told=told))
        raise
    await _write(store, key, replace(entry, outcome="done", told=deed.told))


async def entries(store: Store, after: str = "", limit: int = 50) -> Audit:
    """Read the log, newest first."""
    page = await store.scan(_PREFIX, _PREFIX + after if after else "", limit)
    older = page[-1].key.removeprefix(_PREFIX) if len(page) == limit else ""
    return Audit([_read(each) for each in page], older)


async def _write(store: Store, key: str, entry: Entry) -> None:
    await store.commit([Transition(put=(Put(key, _encode(entry), ttl=KEPT),))])


def _read(record: Record) -> Entry:
    return msgspec.msgpack.decode(record.value, type=Entry)
