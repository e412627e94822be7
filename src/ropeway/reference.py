"""What stands in the place of a body that is kept apart from its message, and where that is.

A body is cut into pieces, each a record of the store. A small record, its head, says how many there
are and since when; what stands in its place names them. All belong to one job, by their keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from ropeway.message import JobRecord
from ropeway.states import State
from ropeway.transition import Drop

HEADS, PIECES = "blob/", "piece/"
PIECE = 262_144

LEFT_AFTER = 3_600.0
"""Seconds for which what no job refers to is taken for what is still being sent."""

_MARK = b"\x00blob"  # no JSON begins so, and no map of MessagePack
_LEAST_PIECE, _LARGEST = 65_536, 2**32
_BEGINNING = 120
_encode = msgspec.msgpack.Encoder().encode


class Reference(Struct, frozen=True, array_like=True):
    """Names a body of so many bytes, and tells it from any other; `begins` is for people."""

    token: str
    size: int
    piece: int
    digest: bytes
    begins: bytes = b""

    def keys(self, job_id: str) -> Iterator[str]:
        """Yield the keys of its pieces, in order."""
        for number in range(-(-self.size // self.piece)):
            yield f"{PIECES}{job_id}/{self.token}/{number:05d}"


class Head(Struct, frozen=True, array_like=True):
    """Since when a body is there, and how long it is; a result names the attempt that it is of."""

    laid: float
    size: int
    piece: int
    attempt: int = 0


_decode = msgspec.msgpack.Decoder(Reference).decode


def head_key(job_id: str, token: str) -> str:
    """Return the key of the head of a body."""
    return f"{HEADS}{job_id}/{token}"


def refer(data: bytes, attempt: int = 0) -> Reference:
    """Return what names these bytes: arguments, or the result of an attempt.

    The same bytes have the same name, so that what is sent again is the same message.
    """
    told = digest(data)
    return Reference(f"{attempt}-{told.hex()}", len(data), PIECE, told, data[:_BEGINNING])


def digest(data: bytes) -> bytes:
    """Return what tells these bytes from any others."""
    return hashlib.blake2b(data, digest_size=16).digest()


def written(reference: Reference) -> bytes:
    """Return the bytes that stand in the place of a body."""
    return _MARK + _encode(reference)


def reference_of(data: bytes | None) -> Reference | None:
    """Return what stands in the place of a body, or None if these bytes are one themselves."""
    if data is None or not data.startswith(_MARK):
        return None
    try:
        found = _decode(data[len(_MARK) :])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    # Whatever a stranger wrote there, it is a number of keys that can be listed.
    sound = 0 <= found.size <= _LARGEST and found.piece >= _LEAST_PIECE
    return found if sound else None


def is_of(data: bytes, body: bytes) -> bool:
    """Whether what a message holds is this body, or stands in its place."""
    reference = reference_of(data)
    return data == body if reference is None else reference.digest == digest(body)


def drops(job_id: str, *held: bytes | None) -> tuple[Drop, ...]:
    """Return what removes the bodies that stand elsewhere, of those that a job holds."""
    found = [each for each in map(reference_of, held) if each is not None]
    if not found:
        return ()
    return tuple(drop for each in found for drop in drops_of(job_id, each))


def drops_of(job_id: str, reference: Reference) -> tuple[Drop, ...]:
    """Return what removes one body, its head with it."""
    keys = (*reference.keys(job_id), head_key(job_id, reference.token))
    return tuple(map(Drop, keys))


def is_left(head: Head, token: str, job: JobRecord | None, now: float) -> bool:
    """Whether a body will never be asked for: its job is gone, or holds something else by now."""
    if now - head.laid < LEFT_AFTER:
        return False
    if job is None:
        return True
    if job.state is State.RUNNING and job.attempt == head.attempt:
        return False  # that attempt may still end with it
    held = map(reference_of, (job.message.body, job.value))
    return all(each is None or each.token != token for each in held)
