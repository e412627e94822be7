"""Job ids: UUID version 7, growing within a process, so that equal instants keep their order."""

from __future__ import annotations

import math
import os
import struct
import threading
import time
from collections.abc import Iterator

_lock = threading.Lock()
_last = 0, 0
_random: Iterator[tuple[int, int]] = iter(())

_WHOLE = struct.Struct(">QQ")
_PAIR, _IDS = struct.Struct(">HQ"), 64
"""The random bytes of one id, and for how many ids the system is asked at once."""

_VERSION, _RANDOM_A = 0x7000, 0x0FFF
_VARIANT, _RANDOM_B = 0x8 << 60, (1 << 62) - 1


def new_id() -> str:
    """Return a UUIDv7 larger than every one this process made before.

    RFC 9562, section 6.2, method 2: within one millisecond the random part is counted up by a
    random step, so ids stay unguessable and in order.
    """
    global _last
    with _lock:
        a, b = next(_random, None) or _more_random()
        high = time.time_ns() // 1_000_000 << 16 | _VERSION | a & _RANDOM_A
        low = _VARIANT | b & _RANDOM_B
        if (high, low) <= _last:
            high, low = _after(*_last, step=1 + a)
        _last = high, low
    text = _WHOLE.pack(high, low).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def first_id(instant: float) -> str:
    """Return the lowest id that may have been made at an instant: it begins a range of ids."""
    milliseconds = min(max(0, math.floor(instant * 1000)), (1 << 48) - 1)
    text = f"{milliseconds:012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-000000000000"


def _more_random() -> tuple[int, int]:
    global _random
    _random = _PAIR.iter_unpack(os.urandom(_IDS * _PAIR.size))
    return next(_random)


def _after(high: int, low: int, step: int) -> tuple[int, int]:
    """Count an id up; what overflows its random part borrows from the next millisecond."""
    low += step
    if low >> 62 != _VARIANT >> 62:
        low, high = _VARIANT | low & _RANDOM_B, high + 1
        if high & 0xF000 != _VERSION:
            high = (high & ~0xFFFF) + 0x10000 | _VERSION
    return high, low


def _after_fork() -> None:
    # A child that kept the parent's last id and random bytes would go on in step with its siblings.
    global _last, _lock, _random
    _last, _random = (0, 0), iter(())
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
