"""Calls that settle their jobs themselves, in one transaction with what they write."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from ropeway.connect import Own, own_transaction
from ropeway.decide import NO_TERMS, Keep, Rules, settle_here
from ropeway.errors import RopewayError
from ropeway.executor import NotRun
from ropeway.message import Fence, Outcome
from ropeway.sending import Source
from ropeway.stepping import step, stepping
from ropeway.task import Definition
from ropeway.transition import Transition
from ropeway.worker.apart import setting_apart
from ropeway.worker.frames import Start

_LOST = Outcome(ending="interrupted")
_SETTLED = Outcome(ending="settled")


class Owned:
    """The transaction of one call, if it opens one: `current.transaction()`.

    The end of the block commits nothing yet: what the call returns is to be part of it.
    """

    def __init__(
        self,
        app: Source,
        start: Start,
        definition: Definition,
        encode: Callable[[Any], bytes],
        *,
        kept: bool,
    ) -> None:
        self._app, self._start, self._definition = app, start, definition
        self._encode, self._kept = encode, kept
        self._own: Own | None = None

    @property
    def opened(self) -> bool:
        """Whether there is something to commit."""
        return self._own is not None

    def __call__(self) -> Owned:
        if self._own is not None:
            raise RopewayError(
                "the task has a transaction already", hint="a job is settled once: use that one"
            )
        return self

    async def __aenter__(self) -> Any:
        own = own_transaction(self._app.settings.url, blocking=stepping())
        opened = await own.begin()
        self._own = own
        return opened

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            await self.rollback()

    def __enter__(self) -> Any:
        return step(self.__aenter__())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        step(self.__aexit__(kind, error, traceback))

    async def rollback(self) -> None:
        """Undo what was written, if anything was."""
        own, self._own = self._own, None
        if own is not None:
            await own.rollback()

    async def settle(self, value: Any) -> None:
        """Commit, if there is anything to commit, with `value` as the result.

        Raises `NotRun` in place of the call's return, for there is nothing left to be settled.
        """
        own, self._own = self._own, None
        if own is None:
            return
        try:
            encoded = self._encode(value)
        except Exception:  # noqa: BLE001  its return says the same, and is a failure for good
            await own.rollback()
            return
        try:
            answer = await own.commit(await self._transition(encoded))
        finally:
            await own.rollback()
        raise NotRun(_SETTLED if answer.ok else _LOST)

    async def _transition(self, value: bytes) -> Transition:
        start, settings = self._start, self._app.settings
        own = start.terms or NO_TERMS
        now = await self._app.store.now() if own.unique is not None else 0.0
        rules = Rules(keep=Keep(settings.keep, settings.keep_failed))
        fence = Fence(start.job_id, start.attempt, start.holder)
        result = await self._result(value) if self._kept else None
        return settle_here(fence, start.body, own, self._definition.terms, now, rules, result)

    async def _result(self, value: bytes) -> bytes | None:
        if len(value) <= self._app.settings.max_message:
            return value
        whole = Outcome(ending="returned", value=value)
        outcome = await setting_apart(self._app, self._start)(whole)
        if outcome.ending != "returned":
            raise NotRun(outcome)
        return outcome.value


def settled_with(
    owned: Owned, definition: Definition, function: Callable[..., Any]
) -> Callable[..., Any]:
    """Return the function with the end of its transaction behind it."""
    if definition.kind == "loop":

        async def arun(*args: Any, **kwargs: Any) -> Any:
            try:
                value = await function(*args, **kwargs)
            except BaseException:
                await owned.rollback()
                raise
            await owned.settle(value)
            return value

        return arun

    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            value = function(*args, **kwargs)
        except BaseException:
            step(owned.rollback())
            raise
        step(owned.settle(value))
        return value

    return run
