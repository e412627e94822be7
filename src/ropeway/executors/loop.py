"""Calls of coroutine functions, side by side on the child's event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Generator
from typing import Any

from ropeway.context import running
from ropeway.executor import Call, Ended, Interrupts, Trace
from ropeway.executors.outcomes import INTERRUPTED, raised, returned, timed_out, too_large, unbound
from ropeway.message import Kind, Outcome


class LoopExecutor:
    """At most `slots` coroutines at once; one that must stop is cancelled."""

    kind: Kind = "loop"
    interrupts: Interrupts = "cancel"

    def __init__(self, slots: int, trace: Trace, ended: Ended) -> None:
        self.slots = slots
        self._trace, self._ended = trace, ended
        self._waiting: deque[Call] = deque()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._interrupted: set[int] = set()
        self._loop = asyncio.get_running_loop()

    def submit(self, call: Call) -> None:
        if len(self._running) < self.slots:
            self._start(call)
        else:
            self._waiting.append(call)

    def recall(self) -> list[int]:
        slots = [call.slot for call in self._waiting]
        self._waiting.clear()
        return slots

    def interrupt(self, slot: int) -> None:
        task = self._running.get(slot)
        if task is not None:
            self._interrupted.add(slot)
            # Not before its first step: it would end without a word.
            self._loop.call_soon(task.cancel)

    def threads(self) -> dict[int, Call]:
        return {}

    def close(self) -> None:
        for slot in list(self._running):
            self.interrupt(slot)

    def _start(self, call: Call) -> None:
        traced = _Traced(self._run(call), self._trace, call.slot)
        # The name is for whoever looks at the stacks of all tasks.
        name = f"job {call.running.fence.id} {call.task} attempt {call.running.fence.attempt}"
        self._running[call.slot] = self._loop.create_task(traced, name=name)

    async def _run(self, call: Call) -> None:
        try:
            outcome = await _outcome(call) if self._trace.begin(call.slot) else INTERRUPTED
        except asyncio.CancelledError as error:
            # A task may also let a CancelledError of its own escape, or cancel itself: that is
            # a failure like any other.
            outcome = INTERRUPTED if call.slot in self._interrupted else raised(call, error)
        del self._running[call.slot]
        self._interrupted.discard(call.slot)
        while self._waiting and len(self._running) < self.slots:
            self._start(self._waiting.popleft())
        self._ended(call.slot, outcome)


class _Traced(Coroutine[Any, Any, None]):
    """A coroutine whose every step is noted: only one runs at a time, and that one is told."""

    __slots__ = ("_inner", "_slot", "_trace")

    def __init__(self, inner: Coroutine[Any, Any, None], trace: Trace, slot: int) -> None:
        self._inner, self._trace, self._slot = inner, trace, slot

    def send(self, value: Any) -> Any:
        self._trace.enter(0, self._slot)
        try:
            return self._inner.send(value)
        finally:
            self._trace.leave(0)

    def throw(self, *error: Any) -> Any:
        self._trace.enter(0, self._slot)
        try:
            return self._inner.throw(*error)
        finally:
            self._trace.leave(0)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._inner.__await__()

    @property
    def cr_frame(self) -> Any:
        """The frame of the coroutine itself, as Python's own coroutines have it."""
        return getattr(self._inner, "cr_frame", None)

    @property
    def cr_await(self) -> Any:
        """What it awaits."""
        return getattr(self._inner, "cr_await", None)


async def _outcome(call: Call) -> Outcome:
    """Run the call; nothing but a CancelledError comes out of here."""
    running.set(call.running.until(call.timeout))
    try:
        args, kwargs = call.bind(call.body, call.content_type)
    except Exception as error:  # noqa: BLE001  annotations may run user code
        return unbound(error)
    limit = asyncio.timeout(call.timeout) if call.timeout else None
    try:
        if limit is None:
            value = await call.function(*args, **kwargs)
        else:
            async with limit:
                value = await call.function(*args, **kwargs)
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001
        # Whatever user code raises, SystemExit too, is its own outcome and not the child's end.
        if limit is not None and limit.expired():
            return timed_out(call, error)
        return raised(call, error)
    outcome = returned(call, value)
    set_apart = too_large(call, outcome)
    return outcome if set_apart is None else await set_apart(outcome)
