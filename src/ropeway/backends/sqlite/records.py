"""Records by key: versions, owners and time to live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.ops import Writing
from ropeway.transition import Drop, Put, Record, Transition

Execute = Callable[..., Any]

_LAST = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)
_ABOVE_ALL_TEXT = b""
"""SQLite has every blob behind every text."""


def write(writing: Writing, transition: Transition) -> dict[str, int]:
    """Put and drop; return the versions of what was put."""
    versions: dict[str, int] = {}
    for each in transition.put:
        version = put(writing, each)
        if version is not None:
            versions[each.key] = version
    for drop in transition.drop:
        _drop(writing, drop)
    return versions


def put(writing: Writing, wanted: Put) -> int | None:
    """Write a record; return its version, or None if somebody else owns it."""
    now = writing.clock.now()
    expires = None if wanted.ttl is None else now + wanted.ttl
    owner = wanted.if_owner
    values = (wanted.key, wanted.value, wanted.owner, expires, owner, owner, now)
    version: int | None = writing.execute(sql.PUT, values).get
    if version is not None:
        writing.changed.add(wanted.key)
    return version


def get(execute: Execute, key: str, now: float) -> Record | None:
    """Return the record of a key, unless it is over."""
    row = execute(sql.GET_RECORD, (key, now)).fetchone()
    return Record(*row) if row else None


def scan(execute: Execute, prefix: str, after: str, limit: int, now: float) -> list[Record]:
    """Return the records whose keys begin with `prefix`, by key."""
    # The least text behind another is that with a zero added: one bound does for both.
    low = after + "\0" if after >= prefix else prefix
    return [Record(*row) for row in execute(sql.SCAN, (low, _end(prefix), now, limit))]


def any_over(execute: Execute, now: float) -> bool:
    """Whether the time of some record is over."""
    first = execute(sql.EARLIEST_RECORD_EXPIRY).get
    return first is not None and first <= now


def remove(limit: int, writing: Writing) -> int:
    """Remove at most `limit` records whose time is over; return how many."""
    writing.execute(sql.PRUNE_RECORDS, (writing.clock.now(), limit))
    return writing.connection.changes()


def _drop(writing: Writing, drop: Drop) -> None:
    writing.execute(sql.DROP, (drop.key, drop.if_owner, drop.if_owner))
    if writing.connection.changes():
        writing.changed.add(drop.key)


def _end(prefix: str) -> str | bytes:
    """The least value behind every text that begins with `prefix`."""
    while prefix:
        prefix, last = prefix[:-1], ord(prefix[-1]) + 1
        if last <= _LAST:
            return prefix + chr(_SURROGATES.stop if last in _SURROGATES else last)
    return _ABOVE_ALL_TEXT
