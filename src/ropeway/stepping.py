"""Running a coroutine to its end in the caller's own thread, without an event loop.

A sync verb is its async twin, stepped. While it is, `stepping()` is true in that thread, and the
backend that is picked does its blocking work on the spot, so the coroutine never suspends.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from ropeway.errors import BlockingCall

T = TypeVar("T")


class _Local(threading.local):
    depth = 0


_local = _Local()


def stepping() -> bool:
    """Whether this thread is stepping a coroutine right now."""
    return _local.depth > 0


def step(twin: Coroutine[Any, Any, T]) -> T:
    """Run `twin` to its end, here and now, and return its result."""
    _local.depth += 1
    try:
        twin.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        _local.depth -= 1
    twin.close()
    raise RuntimeError("a stepped coroutine suspended: its backend was not the blocking one")


@contextlib.contextmanager
def unstepped() -> Iterator[None]:
    """Have this thread not count as stepping in the block: for running an event loop in it."""
    depth, _local.depth = _local.depth, 0
    try:
        yield
    finally:
        _local.depth = depth


def refuse_on_loop(verb: str, twin: str) -> None:
    """Raise `BlockingCall` where waiting would stop a running event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise BlockingCall(
        f"{verb}() would block the running event loop", hint=f"write: await {twin}(...)"
    )
