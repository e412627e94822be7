"""What things are called in the server: the one place that decides on slots and channels."""

from __future__ import annotations

import binascii
import hashlib
from functools import lru_cache

SLOTS = 16_384
_LONGEST = 64


def tag(namespace: str) -> str:
    """Return what every key and channel of a namespace begins with.

    In a cluster the braces decide on the slot: whatever is in a namespace is on one node.
    """
    return f"{{{namespace}}}"


def slot(namespace: str) -> int:
    """Return the slot in which a cluster keeps a namespace."""
    return binascii.crc_hqx(namespace.encode(), 0) % SLOTS


@lru_cache(maxsize=1024)
def channel(namespace: str, name: str) -> bytes:
    """Return the channel on which changes of `name` are told; prelude.lua makes the same.

    A long name gives way to its digest.
    """
    data = name.encode()
    if len(data) > _LONGEST:
        digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        return f"{tag(namespace)}:hint#".encode() + digest.encode()
    return f"{tag(namespace)}:hint:".encode() + data
