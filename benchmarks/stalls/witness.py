"""What the tasks of every library do here: write down that they start, keep still, write down the end.

Two ways of keeping still: a C call that holds the interpreter lock, so that no thread of the process
runs, and a coroutine that blocks its event loop.
"""

from __future__ import annotations

import ctypes
import os
import time

FILE, SECONDS, LEASE, BROKER = "STALL_FILE", "STALL_SECONDS", "STALL_LEASE", "STALL_BROKER"
"""The environment variables that an app reads."""


def lease() -> float:
    """Seconds after which the library is told to give up a silent worker."""
    return float(os.environ[LEASE])


def broker() -> str:
    """The URL of a server, for those that need one."""
    return os.environ[BROKER]


def hold_lock() -> None:
    """Hold the interpreter lock."""
    _note("start")
    microseconds = int(float(os.environ[SECONDS]) * 1e6)
    # PyDLL, unlike CDLL, keeps the lock during the call.
    ctypes.PyDLL(None).usleep(microseconds)
    _note("end")


def block_loop() -> None:
    """Block whatever runs this; other threads go on."""
    _note("start")
    time.sleep(float(os.environ[SECONDS]))
    _note("end")


def _note(word: str) -> None:
    descriptor = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{word} {os.getpid()} {time.time():.3f}\n".encode())
    os.close(descriptor)
