"""One thread at a time: what guards containers that several threads and event loops share."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar


class _Lockable(Protocol):
    @property
    def lock(self) -> threading.RLock: ...


P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound=_Lockable)

Verb = Callable[Concatenate[S, P], Coroutine[Any, Any, R]]


def alone(verb: Verb[S, P, R]) -> Verb[S, P, R]:
    """Have one thread at a time do this, which must not suspend."""

    @functools.wraps(verb)
    async def locked(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.lock:
            return await verb(self, *args, **kwargs)

    return locked
