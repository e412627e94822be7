"""Calls that are settled before they run, so that they run at most once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ropeway.decide import NO_TERMS, Keep, Rules, settle_here
from ropeway.errors import RopewayError
from ropeway.executor import NotRun
from ropeway.message import Fence, Outcome
from ropeway.sending import Source
from ropeway.stepping import step
from ropeway.task import Definition
from ropeway.transition import Transition
from ropeway.worker.frames import Start

_GIVEN_BACK = Outcome(ending="interrupted")


def settled_first(
    app: Source, start: Start, definition: Definition, function: Callable[..., Any]
) -> Callable[..., Any]:
    """Return the function with a settle before its first line.

    It is given back, and does not run, where the settle is refused or its answer is lost.
    """
    if definition.kind == "loop":

        async def arun(*args: Any, **kwargs: Any) -> Any:
            await _settle(app, start, definition)
            return await function(*args, **kwargs)

        return arun

    def run(*args: Any, **kwargs: Any) -> Any:
        step(_settle(app, start, definition))
        return function(*args, **kwargs)

    return run


async def _settle(app: Source, start: Start, definition: Definition) -> None:
    try:
        (answer,) = await app.store.commit([await _transition(app, start, definition)])
    except RopewayError as error:
        raise NotRun(_GIVEN_BACK) from error
    if answer.status != "applied":
        raise NotRun(_GIVEN_BACK)


async def _transition(app: Source, start: Start, definition: Definition) -> Transition:
    fence = Fence(start.job_id, start.attempt, start.holder)
    own = start.terms or NO_TERMS
    now = await app.store.now() if own.unique is not None else 0.0
    rules = Rules(keep=Keep(app.settings.keep, app.settings.keep_failed))
    return settle_here(fence, start.body, own, definition.terms, now, rules)
