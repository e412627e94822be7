"""Running a coroutine to its end in the caller's own thread, without an event loop.

A sync verb is its async twin, stepped. While it is, `stepping()` is true in that thread, and the
backend that is picked does its blocking work on the spot, so the coroutine never suspends.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Generator, Iterator
from typing import Any, Generic, TypeVar

from ropeway.errors import BlockingCall

T = TypeVar("T")


class _Local(threading.local):
    depth = 0
    ahead = False


_local = _Local()
_SUSPENDED = "a stepped coroutine suspended: its backend was not the blocking one"


def stepping() -> bool:
    """Whether this thread is stepping a coroutine right now."""
    return _local.depth > 0


def step(twin: Coroutine[Any, Any, T]) -> T:
    """Run `twin` to its end, here and now, and return its result."""
    before = _local.ahead
    _local.depth, _local.ahead = _local.depth + 1, False
    try:
        twin.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        _local.depth, _local.ahead = _local.depth - 1, before
    twin.close()
    raise RuntimeError(_SUSPENDED)


class Begun(Generic[T]):
    """A coroutine that is stepped as far as its backend gets without waiting for a server.

    So its caller may do other work meanwhile. `finish` steps it to its end; a backend that works on
    the spot has ended it before. It must be finished, whatever happens.
    """

    def __init__(self, twin: Coroutine[Any, Any, T], *, ahead: bool = True) -> None:
        self._twin = twin
        self._result: list[T] = []
        self.ended = False
        self._step(ahead)

    def finish(self) -> T:
        """Step it to its end, and return its result. To be called once."""
        if not self.ended:
            self._step(ahead=False)
        if not self.ended:
            self._twin.close()
            raise RuntimeError(_SUSPENDED)
        return self._result.pop()

    def _step(self, ahead: bool) -> None:
        before = _local.ahead
        _local.depth, _local.ahead = _local.depth + 1, ahead
        try:
            self._twin.send(None)
        except StopIteration as end:
            self._result.append(end.value)
            self.ended = True
        except BaseException:
            self.ended = True
            raise
        finally:
            _local.depth, _local.ahead = _local.depth - 1, before


class Suspended:
    """What a backend awaits where the rest may be done by `finish`."""

    def __await__(self) -> Generator[None, None, None]:
        yield


def may_suspend() -> bool:
    """Whether the coroutine that this thread steps may be left at this point; asked for once."""
    found, _local.ahead = _local.ahead, False
    return found


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
