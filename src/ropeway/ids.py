"""Job ids: UUID version 7, growing within a process, so that equal instants keep their order."""

from __future__ import annotations

import os
import threading
import time

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """Return a UUIDv7 larger than every one this process made before.

    RFC 9562, section 6.2, method 2: within one millisecond the random part is counted up by a
    random step, so ids stay unguessable and in order.
    """
    global _last
    fresh = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10))
    fresh = (fresh & ~(0xF << 76)) | (0x7 << 76)
    fresh = (fresh & ~(0x3 << 62)) | (0x2 << 62)
    with _lock:
        if fresh <= _last:
            fresh = _last + 1 + (fresh & 0xFFFF)
        _last = fresh
    text = f"{fresh:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _after_fork() -> None:
    # A child that kept the parent's last id would count on from it, in step with its siblings.
    global _last, _lock
    _last = 0
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
