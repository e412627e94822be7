"""How a job is kept: its message, with when it may run, and how it stands. See lua/jobs.lua."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from ropeway.envelope import NUMBERS, STATES
from ropeway.message import (
    Delivery,
    Failure,
    Fence,
    JobRecord,
    Kind,
    Message,
    job_key,
)
from ropeway.states import State
from ropeway.store import Ending
from ropeway.transition import Record

LETTERS: dict[Kind, str] = {"threads": "t", "loop": "l", "cpu": "c"}
_KINDS: dict[str, Kind] = {letter: kind for kind, letter in LETTERS.items()}

NONE = math.nan
"""Stands for a number that is left out."""

_STATE = struct.Struct("<BBBIIIIIIddddddddIIIIBI")
_COUNTED = struct.Struct("<BBBIIIIIIddd")
"""What a delivery tells of a state, which that begins with."""

_WHEN = struct.Struct("<ddddH")
_LENGTH = struct.Struct("<I")
_RECORD = struct.Struct("<ddI")
_CANCELLING, _MOVED, _REWRITTEN = 1, 2, 4
_IN_LANE = 1

_encode = msgspec.msgpack.Encoder().encode
_decode_message = msgspec.msgpack.Decoder(Message).decode
_decode_failure = msgspec.msgpack.Decoder(Failure).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class About(Struct, frozen=True):
    """What the scripts have to know of a message: where it waits, and for what."""

    kind: Kind
    band: int
    queue: str
    task: str
    key: str | None
    limits: tuple[str, ...]


def _text(value: str) -> bytes:
    data = value.encode()
    return _LENGTH.pack(len(data)) + data


@lru_cache(maxsize=1024)
def _static(
    kind: Kind, band: int, queue: str, task: str, key: str | None, limits: tuple[str, ...]
) -> bytes:
    return b"".join(
        (
            LETTERS[kind].encode(),
            b"%d" % band,
            _text(queue),
            _text(task),
            b"\0" if key is None else b"\1",
            _text(key or ""),
            _LENGTH.pack(len(limits)),
            *map(_text, limits),
        )
    )


@lru_cache(maxsize=1024)
def _about(static: bytes) -> About:
    at, texts = 2, list[str]()

    def text() -> str:
        nonlocal at
        (length,) = _LENGTH.unpack_from(static, at)
        at += 4 + length
        return static[at - length : at].decode(errors="replace")

    texts = [text(), text()]
    has_key = static[at]
    at += 1
    key = text()
    (count,) = _LENGTH.unpack_from(static, at)
    at += 4
    limits = tuple(text() for _ in range(count))
    kind, band = _KINDS[chr(static[0])], static[1] - ord("0")
    return About(kind, band, texts[0], texts[1], key if has_key else None, limits)


def message_parts(message: Message) -> tuple[str, bytes, bytes]:
    """Return the id, the message as it is kept, and what the scripts have to know of it."""
    message_id = message.id.encode()
    after = None if message.terms is None else message.terms.expires
    when = _WHEN.pack(
        NONE if message.due is None else message.due,
        message.delay,
        NONE if message.expires is None else message.expires,
        NONE if after is None else after,
        len(message_id),
    )
    static = _static(
        message.kind, message.band, message.queue, message.task, message.key, message.limits
    )
    return message.id, when + message_id + _encode(message), static


_FRESH_BEFORE = struct.pack("<BBBIIIIII", NUMBERS[State.QUEUED], 0, _IN_LANE, 1, 0, 0, 0, 0, 0)
"""How a message that was just taken in stands, up to the four numbers that the server makes."""


@lru_cache(maxsize=1024)
def _fresh_after(static: bytes) -> bytes:
    """The same, after those numbers: no times, no expiry, nothing but what never changes."""
    return struct.pack("<ddddIIIIBI", 0.0, 0.0, 0.0, NONE, len(static), 0, 0, 0, 0, 0) + static


def _is_simple(message: Message) -> bool:
    """Whether nothing but its queue, band and kind says when it runs: then it may run at once."""
    terms = message.terms
    return (
        message.key is None
        and message.due is None
        and message.expires is None
        and not message.delay
        and (terms is None or terms.expires is None)
    )


class Fresh(Struct, frozen=True):
    """Simple messages of one queue, band and kind, and how they will stand.

    `kept` has the id of each and itself.
    """

    kept: list[str | bytes]
    before: bytes
    after: bytes
    lane: bytes
    queue: str


def fresh(messages: Sequence[Message]) -> Fresh | None:
    """Return messages as `send` and `send_many` take them, or None if they are not for those."""
    first = messages[0]
    kept: list[str | bytes] = []
    for message in messages:
        if not _is_simple(message) or not (message is first or _is_alike(message, first)):
            return None
        message_id = message.id.encode()
        kept += (message.id, _simple_when(len(message_id)) + message_id + _encode(message))
    if len(messages) > 1 and len(set(kept[::2])) < len(messages):
        return None
    static = _static(first.kind, first.band, first.queue, first.task, first.key, first.limits)
    return Fresh(kept, _FRESH_BEFORE, _fresh_after(static), static[:2], first.queue)


def _is_alike(one: Message, other: Message) -> bool:
    return (
        one.queue == other.queue
        and one.task == other.task
        and one.band == other.band
        and one.kind == other.kind
        and one.limits == other.limits
    )


@lru_cache(maxsize=64)
def _simple_when(length: int) -> bytes:
    """What a simple message with an id of so many bytes begins with."""
    return _WHEN.pack(NONE, 0.0, NONE, NONE, length)


def joined(messages: tuple[Message, ...]) -> bytes:
    """Return messages as a join keeps them."""
    parts: list[bytes] = []
    for message in messages:
        message_id, kept, static = message_parts(message)
        for each in (message_id.encode(), kept, static):
            parts += (_LENGTH.pack(len(each)), each)
    return b"".join(parts)


def failure_bytes(error: Failure | None) -> bytes:
    """Return an error as it is kept."""
    return b"" if error is None else _encode(error)


def _about_state(state: bytes) -> About:
    """Return what of a job the scripts know."""
    length = _STATE.unpack_from(state)[17]
    return _about(state[_STATE.size : _STATE.size + length])


def _message(raw: bytes, state: bytes, body: bytes | None) -> tuple[Message, str]:
    """Return a message as it is now, and what of it could not be read."""
    length = int.from_bytes(raw[32:34], "little")
    unreadable = ""
    try:
        message = _decode_message(memoryview(raw)[34 + length :])
    except _UNREADABLE as error:
        what = _about_state(state)
        message = Message(
            id=raw[34 : 34 + length].decode(errors="replace"),
            task=what.task,
            queue=what.queue,
            band=what.band,
            key=what.key,
            kind=what.kind,
            limits=what.limits,
        )
        unreadable = f"the message cannot be read: {error}"
    if state[1] & _MOVED:
        what = _about_state(state)
        message = msgspec.structs.replace(message, queue=what.queue, band=what.band)
    if body is not None:
        message = msgspec.structs.replace(message, body=body)
    return message, unreadable


def delivery_of(state: bytes, raw: bytes, body: bytes | None, holder: str) -> Delivery:
    """Make a delivery of what `claim` answers."""
    found = _COUNTED.unpack_from(state)
    message, unreadable = _message(raw, state, body)
    return Delivery(
        message=message,
        fence=Fence(message.id, found[4], holder),
        failures=found[5],
        losses=found[6],
        releases=found[7],
        unknown=found[8],
        enqueued=found[10],
        due=found[11],
        unreadable=unreadable or None,
    )


def job_of(state: bytes, raw: bytes, body: bytes | None = None) -> tuple[JobRecord, int]:
    """Make a job's record of what is kept of it, and tell its version."""
    found, parts = _taken_apart(state)
    _, holder, _, error, _, value = parts
    record = JobRecord(
        message=_message(raw, state, body)[0],
        state=STATES[found[0]],
        attempt=found[4],
        failures=found[5],
        losses=found[6],
        releases=found[7],
        unknown=found[8],
        enqueued=found[10],
        due=found[11],
        started=found[13] or None,
        finished=found[14] or None,
        holder=holder.decode() if found[4] else None,
        value=value if found[22] else None,
        error=_failure(error) if error else None,
        cancelling=bool(found[1] & _CANCELLING),
    )
    return record, found[3]


def ending_of(state: bytes) -> Ending | None:
    """Make of how a job stands how it ended; None if it has not, or it cannot be read."""
    try:
        found, (static, _, _, error, _, value) = _taken_apart(state)
        reached = STATES[found[0]]
        if not reached.final:
            return None
        return Ending(
            version=found[3],
            task=_about(static).task,
            state=reached,
            value=value if found[22] else None,
            error=_failure(error) if error else None,
        )
    except (struct.error, LookupError):
        return None


def _taken_apart(state: bytes) -> tuple[tuple[Any, ...], list[bytes]]:
    """Return the head of how a job stands, and the parts behind it."""
    found = _STATE.unpack_from(state)
    at, parts = _STATE.size, list[bytes]()
    for length in (*found[17:22], max(0, found[22] - 1)):
        parts.append(state[at : at + length])
        at += length
    return found, parts


def _failure(error: bytes) -> Failure:
    try:
        return _decode_failure(error)
    except _UNREADABLE as wrong:
        return Failure(type="unreadable", message=f"what is kept of its error: {wrong}")


def record_of(key: str, found: Any) -> Record | None:
    """Make a record of what `get` answers for a key."""
    if found is None:
        return None
    if isinstance(found, list):
        job, version = job_of(*found)
        return Record(job_key(job.message.id), version, _encode(job))
    version, _, length = _RECORD.unpack_from(found)
    at = _RECORD.size + length
    return Record(key, int(version), found[at:], found[_RECORD.size : at].decode())
