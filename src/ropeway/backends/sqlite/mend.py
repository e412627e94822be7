"""Rows whose texts are none: another program wrote them, or the disk changed them.

SQLite keeps any bytes as text, and whoever reads them fails. One such row must not stop all
workers: it is put into quarantine, with the bytes in the error and the texts made readable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ropeway.backends.sqlite import statements as sql
from ropeway.backends.sqlite.ending import leased_ended, waiting_ended
from ropeway.backends.sqlite.ops import Writing
from ropeway.envelope import NUMBERS, Row, error_of
from ropeway.message import Failure
from ropeway.states import State
from ropeway.transition import Reject

Execute = Callable[..., Any]
_CHUNK = 5_000
_NAMES = ("id", "task", "queue", "key", "limits", "holder")


def unreadable(execute: Execute) -> list[Row]:
    """Find the rows with bytes that are no text, wherever they are."""
    return [row for row in _rows(execute) if any(_is_broken(text) for text in row[3:])]


def set_aside(rows: Sequence[Row], writing: Writing) -> int:
    """Put such rows into quarantine, and let go what they held back; return how many."""
    return sum(_set_aside(row, writing) for row in rows)


def _rows(execute: Execute) -> Iterator[Row]:
    last = -1
    while rows := execute(sql.TEXTS, (last, _CHUNK)).fetchall():
        yield from rows
        last = rows[-1][0]


def _is_broken(text: bytes | None) -> bool:
    return text is not None and _text(text)[1]


def _text(data: bytes) -> tuple[str, bool]:
    """Return what can be read, and whether that is not all."""
    try:
        return data.decode(), False
    except UnicodeDecodeError:
        return data.decode(errors="backslashreplace"), True


def _set_aside(row: Row, writing: Writing) -> int:
    serial, state, lane, *texts = row
    told = [
        f"{name} {data.hex()}" for name, data in zip(_NAMES, texts, strict=True) if _is_broken(data)
    ]
    read = [None if data is None else _text(data)[0] for data in texts]
    job_id, task, queue, key, limited_by, holder = read
    if _is_broken(texts[0]):
        job_id = f"{job_id}#{serial}"  # so that it is nobody else's
    now = writing.clock.now()
    keep = Reject("undecodable").keep
    error = Failure(type="undecodable", message=f"the row holds no text: {', '.join(told)}")
    values = (job_id, task, queue, holder, error_of(error), now, now + keep, serial)
    writing.execute(sql.SET_ASIDE, values)
    changed: int = writing.connection.changes()
    if queue is not None and not _is_broken(texts[2]):
        key = None if _is_broken(texts[3]) else key
        if state == NUMBERS[State.QUEUED]:
            waiting_ended(writing, serial, queue, key, lane)
        elif state == NUMBERS[State.RUNNING]:
            leased_ended(writing, queue, key, None if _is_broken(texts[4]) else limited_by)
    return changed
