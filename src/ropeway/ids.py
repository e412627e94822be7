"""Job ids: UUID version 7, growing within a process, so that equal instants keep their order."""

from __future__ import annotations

import os
import threading
import time

_lock = threading.Lock()
_last = 0
_random = b""

_RANDOM, _CALLS = 10, 64
"""Random bytes of an id, and for how many ids the system is asked at once."""

_FREE = ~(0xF << 76 | 0x3 << 62)
_VERSION_AND_VARIANT = 0x7 << 76 | 0x2 << 62


def new_id() -> str:
    """Return a UUIDv7 larger than every one this process made before.

    RFC 9562, section 6.2, method 2: within one millisecond the random part is counted up by a
    random step, so ids stay unguessable and in order.
    """
    global _last, _random
    with _lock:
        if len(_random) < _RANDOM:
            _random = os.urandom(_CALLS * _RANDOM)
        fresh = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(_random[:_RANDOM])
        _random = _random[_RANDOM:]
        fresh = fresh & _FREE | _VERSION_AND_VARIANT
        if fresh <= _last:
            fresh = _last + 1 + (fresh & 0xFFFF)
        _last = fresh
    text = f"{fresh:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _after_fork() -> None:
    # A child that kept the parent's last id and random bytes would go on in step with its siblings.
    global _last, _lock, _random
    _last, _random = 0, b""
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
