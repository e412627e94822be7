"""The C library, for the calls that Python does not have."""

from __future__ import annotations

import ctypes
import functools


@functools.cache
def libc() -> ctypes.CDLL:
    """Return the C library of this process, loaded at the first use."""
    return ctypes.CDLL(None, use_errno=True)
