"""Bodies that are kept apart from their jobs: brought to a call before it runs, and laid after it.

The process that runs the call does both itself, piece by piece, so that its supervisor never holds
one whole.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from ropeway.blobs import lay, load
from ropeway.errors import BackendUnavailable, Backpressure, BodyLost, Indeterminate
from ropeway.executor import Bind, NotRun, SetApart
from ropeway.executors.outcomes import failure_of, unbound
from ropeway.message import Failure, Outcome
from ropeway.runs.feeding import fed
from ropeway.sending import Source
from ropeway.signature import Arguments
from ropeway.stepping import step, stepping
from ropeway.store import Backend
from ropeway.transition import Answer, Record, Transition
from ropeway.worker.frames import Start
from ropeway.worker.patience import FIRST_PAUSE, LONGEST_PAUSE
from ropeway.wrappers.delegate import Delegate

log = logging.getLogger("ropeway.worker")

T = TypeVar("T")


def already_bound(body: bytes, content_type: str) -> Arguments:
    """Stand in for the binding of a call whose function fetches its own arguments."""
    return [], {}


def fetched_first(
    app: Source, start: Start, bind: Bind, function: Callable[..., Any], *, on_loop: bool
) -> Callable[..., Any]:
    """Return the function with its arguments brought to it first, which it is called without.

    What is gone, or does not fit, ends the call before it has begun.
    """
    if on_loop:

        async def arun() -> Any:
            args, kwargs = _bound(bind, await _fetched(app, start), start.content_type)
            return await function(*args, **kwargs)

        return arun

    def run() -> Any:
        args, kwargs = _bound(bind, step(_fetched(app, start)), start.content_type)
        return function(*args, **kwargs)

    return run


def fed_first(
    app: Source, start: Start, bind: Bind, function: Callable[..., Any], *, on_loop: bool
) -> Callable[..., Any]:
    """The same for a node of a workflow, whose arguments are results of other nodes.

    They are checked only now that they are known. A node that is not to run ends here.
    """
    if on_loop:

        async def arun() -> Any:
            args, kwargs = _bound(bind, await _fed(app, start), start.content_type)
            return await function(*args, **kwargs)

        return arun

    def run() -> Any:
        args, kwargs = _bound(bind, step(_fed(app, start)), start.content_type)
        return function(*args, **kwargs)

    return run


async def _fed(app: Source, start: Start) -> bytes:
    assert start.terms is not None and start.terms.node is not None
    try:
        return await fed(_Persistent(app.store, start), start.task, start.terms.node, start.body)
    except BodyLost as error:
        failure = Failure(type="BodyLost", message=error.fact)
        raise NotRun(Outcome(ending="raised", error=failure, retryable=False)) from error


def setting_apart(app: Source, start: Start) -> SetApart:
    """Return what lays a large result into the store, and leaves a reference in its place."""

    async def set_apart(outcome: Outcome) -> Outcome:
        assert outcome.value is not None
        store = _Persistent(app.store, start)
        try:
            value, _ = await lay(store, start.job_id, outcome.value, start.attempt)
        except Exception as error:
            log.exception("job %s: its result cannot be kept", start.job_id)
            return Outcome(ending="raised", error=failure_of(error), retryable=False)
        return replace(outcome, value=value)

    return set_apart


async def not_kept(outcome: Outcome) -> Outcome:
    """Leave a large result where it is: nobody could ask for it."""
    return replace(outcome, value=None)


async def _fetched(app: Source, start: Start) -> bytes:
    try:
        return await load(_Persistent(app.store, start), start.job_id, start.body)
    except BodyLost as error:
        failure = Failure(type="BodyLost", message=error.fact)
        raise NotRun(Outcome(ending="undecodable", error=failure)) from error


def _bound(bind: Bind, body: bytes, content_type: str) -> Arguments:
    try:
        return bind(body, content_type)
    except Exception as error:
        raise NotRun(unbound(error)) from error


class _Persistent(Delegate):
    """Asks until there is an answer, as its supervisor does for what it settles."""

    def __init__(self, inner: Backend, start: Start) -> None:
        super().__init__(inner)
        self._start = start

    async def now(self) -> float:
        return await self._ask(self.inner.now)

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        return await self._ask(lambda: self.inner.commit(transitions))

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        return await self._ask(lambda: self.inner.get(keys))

    async def _ask(self, verb: Callable[[], Coroutine[Any, Any, T]]) -> T:
        pause = FIRST_PAUSE
        while True:
            try:
                return await verb()
            except (BackendUnavailable, Backpressure, Indeterminate) as error:
                if pause == FIRST_PAUSE:
                    job_id, fact = self._start.job_id, error.fact
                    log.warning("job %s waits for what is kept apart from it: %s", job_id, fact)
            if stepping():
                time.sleep(pause)  # noqa: ASYNC251  this thread runs that call alone
            else:
                await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
