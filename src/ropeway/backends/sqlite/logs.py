"""Logs: entries in the order of their commits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.ops import Writing
from ropeway.store import log_name
from ropeway.transition import Append, Entry, Trim


def append_all(writing: Writing, appends: Sequence[Append]) -> dict[str, int]:
    """Add each entry to the end of its log; return the last offset of each log."""
    return {append.log: _append(writing, append) for append in appends}


def trim(writing: Writing, trim: Trim) -> None:
    """Remove the entries of a log up to an offset, but never its last one."""
    writing.execute(sql.TRIM, (trim.log, trim.upto))


def read(execute: Callable[..., Any], log: str, after: int, limit: int) -> list[Entry]:
    """Return the entries of a log after an offset; below zero it counts from the end."""
    if after < 0:
        newest = [Entry(*row) for row in execute(sql.READ_NEWEST, (log, -after))]
        return newest[::-1][:limit]
    return [Entry(*row) for row in execute(sql.READ, (log, after, limit))]


def _append(writing: Writing, append: Append) -> int:
    # Whoever writes has the file alone until its commit: nobody sees a later offset before this.
    row: tuple[int, int] = writing.execute(sql.NEXT_OFFSET, (append.log,)).get
    log, offset = row
    writing.execute(sql.APPEND, (log, offset, writing.clock.now(), append.value))
    writing.changed.add(log_name(append.log))
    return offset
