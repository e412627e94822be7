"""Calls of coroutine functions, side by side on the child's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque

from ropeway.context import Running, running
from ropeway.errors import BadArguments
from ropeway.executor import Call, Ended, Interrupts, Started
from ropeway.executors.outcomes import raised, returned, timed_out, unbound
from ropeway.message import Kind, Outcome


class LoopExecutor:
    """At most `slots` coroutines at once; one that must stop is cancelled."""

    kind: Kind = "loop"
    interrupts: Interrupts = "cancel"

    def __init__(self, slots: int, started: Started, ended: Ended) -> None:
        self.slots = slots
        self._started, self._ended = started, ended
        self._waiting: deque[Call] = deque()
        self._running: dict[int, asyncio.Task[None]] = {}

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
            task.cancel()

    def close(self) -> None:
        for task in self._running.values():
            task.cancel()

    def _start(self, call: Call) -> None:
        self._running[call.slot] = asyncio.get_running_loop().create_task(self._run(call))

    async def _run(self, call: Call) -> None:
        self._started(call.slot)
        try:
            outcome = await _outcome(call)
        finally:
            del self._running[call.slot]
            while self._waiting and len(self._running) < self.slots:
                self._start(self._waiting.popleft())
        self._ended(call.slot, outcome)


async def _outcome(call: Call) -> Outcome:
    deadline = None if call.timeout is None else time.time() + call.timeout
    running.set(
        Running(job_id=call.job_id, task=call.task, attempt=call.attempt, deadline=deadline)
    )
    try:
        args, kwargs = call.bind(call.body, call.content_type)
    except BadArguments as error:
        return unbound(error)
    limit = asyncio.timeout(call.timeout) if call.timeout else contextlib.nullcontext()
    try:
        async with limit:
            value = await call.function(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001
        if isinstance(error, asyncio.CancelledError) and _cancelled_from_outside():
            return Outcome(ending="interrupted")
        # Whatever user code raises, SystemExit too, is its own outcome and not the child's end.
        if isinstance(limit, asyncio.Timeout) and limit.expired():
            return timed_out(call, error)
        return raised(call, error)
    return returned(call, value)


def _cancelled_from_outside() -> bool:
    # A task may also let a CancelledError of its own escape: that is a failure like any other.
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
