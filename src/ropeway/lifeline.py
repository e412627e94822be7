"""Proof of death: a file that every process of a worker keeps locked while it lives.

The kernel frees the locks of a process that ends, however it ends, so the file can be locked by
others only when the last of them is gone. One that is merely stopped keeps its lock.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def make(path: Path) -> int:
    """Make the file, locked from its first moment; returns the descriptor that keeps the lock."""
    beginning = path.with_name(f".{path.name}")
    while True:
        descriptor = os.open(beginning, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        try:
            os.rename(beginning, path)
        except FileNotFoundError:
            # Before it was locked somebody took it for what a dead process has left.
            os.close(descriptor)
        else:
            return descriptor


def join(path: Path | str) -> int | None:
    """Keep the file locked by this process too; None if it is gone, or its owners are all dead."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if os.path.samestat(os.stat(path), os.fstat(descriptor)):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def take(path: Path | str) -> int | None:
    """Lock the file if its owners are all dead, so that nobody joins any more; else None."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
