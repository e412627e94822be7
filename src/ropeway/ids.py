"""Job ids: UUID version 7, growing within a process, so that equal instants keep their order."""

from __future__ import annotations

import hashlib
import math
import os
import struct
import threading
import time
from collections.abc import Iterator

_lock = threading.Lock()
_millisecond = 0
"""That of the newest id, and what its text begins with and its number ends with."""
_head, _low = "", 0
_random: Iterator[tuple[int, int]] = iter(())

_PAIR, _IDS = struct.Struct(">HQ"), 64
"""The random bytes of one id, and for how many ids the system is asked at once."""

_VERSION, _RANDOM_A = 0x7000, 0x0FFF
_VARIANT, _RANDOM_B = 0b10, (1 << 62) - 1


def new_id() -> str:
    """Return a UUIDv7 larger than every one this process made before.

    RFC 9562, section 6.2, method 2: within one millisecond the random part is counted up by a
    random step, so ids stay unguessable and in order.
    """
    global _low
    with _lock:
        a, b = next(_random, None) or _more_random()
        now = time.time_ns() // 1_000_000
        low = _low + a + 1
        if now > _millisecond:
            low = _begin(now, a, b)
        elif low >> 62 != _VARIANT:  # the random part is full: the next millisecond is borrowed
            low = _begin(_millisecond + 1, a, b)
        _low = low
        head = _head
    text = f"{low:x}"
    return f"{head}{text[:4]}-{text[4:]}"


def first_id(instant: float) -> str:
    """Return the lowest id that may have been made at an instant: it begins a range of ids."""
    milliseconds = min(max(0, math.floor(instant * 1000)), (1 << 48) - 1)
    text = f"{milliseconds:012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-000000000000"


def made_at(job_id: str) -> float | None:
    """Return when an id was made, by its maker's clock; None if it does not tell."""
    head = job_id[:8] + job_id[9:13]
    try:
        return int(head, 16) / 1000 if len(job_id) == 36 else None
    except ValueError:
        return None


def derived_id(job_id: str, name: str) -> str:
    """Return the id that an id and a name always make together; it keeps the id's place in time.

    What comes of one message is thus known again when it is made a second time.
    """
    told = hashlib.blake2b(f"{job_id}/{name}".encode(), digest_size=8).digest()
    low = int.from_bytes(told, "big") & _RANDOM_B | _VARIANT << 62
    text = f"{low:016x}"
    return f"{job_id[:19]}{text[:4]}-{text[4:]}" if len(job_id) == 36 else f"{job_id}.{text}"


def _more_random() -> tuple[int, int]:
    global _random
    _random = _PAIR.iter_unpack(os.urandom(_IDS * _PAIR.size))
    return next(_random)


def _begin(millisecond: int, a: int, b: int) -> int:
    """Have the next ids begin with a millisecond; return the number that the first one ends with."""
    global _millisecond, _head
    _millisecond = millisecond
    text = f"{millisecond:012x}"
    _head = f"{text[:8]}-{text[8:]}-{_VERSION | a & _RANDOM_A:04x}-"
    return _VARIANT << 62 | b & _RANDOM_B


def _after_fork() -> None:
    # A child that kept the parent's last id and random bytes would go on in step with its siblings.
    global _millisecond, _lock, _random
    _millisecond, _random = 0, iter(())
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
