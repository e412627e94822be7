"""The cursors that a process holds, each as a call that runs on its event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from ropeway.config import seconds
from ropeway.context import Running, running
from ropeway.decide import NO_TERMS
from ropeway.errors import Retry
from ropeway.executor import Call
from ropeway.message import Failure, Fence, Outcome
from ropeway.retry import retryable
from ropeway.task import Definition, Task
from ropeway.topics.declaring import DRIVER_POLICY
from ropeway.topics.delivery import Fact, Handler, line_of, run_id
from ropeway.topics.records import CURSORS, Cursor
from ropeway.worker.frames import Start
from ropeway.worker.locate import Application
from ropeway.worker.subscriber import RunOf, Subscriber
from ropeway.worker.versions import binder, too_new

log = logging.getLogger("ropeway.worker")


class _Body(Struct, frozen=True):
    cursor: str


_decode = msgspec.json.Decoder(_Body).decode


class Subscribers:
    """Makes the calls that hold cursors; `around` returns a task's function as it is to be run."""

    def __init__(
        self, app: Application, around: Callable[[Definition], Callable[..., Any]]
    ) -> None:
        self._app, self._around = app, around
        self._held: dict[int, Subscriber] = {}

    def call(self, start: Start) -> Call | Outcome:
        """Return the call that holds a cursor, or what becomes of its message without one."""
        key = _decode(start.body).cursor
        # topic, partition, pattern and name, and the name of a replay
        name = "/".join(key.removeprefix(CURSORS).split("/")[2:4])
        task = self._app.topics.task_of(name)
        if task is None:
            error = Failure(type="UnknownTask", message=f"no subscription is called {name}")
            return Outcome(ending="unknown_task", error=error)
        fence = Fence(start.job_id, start.attempt, start.holder)
        run = self._runner(task) if task.definition.kind == "loop" else None
        app = task.app
        held = Subscriber(lambda: app.store, fence, key, Handler(task), run, self._is_alone)
        self._held[start.slot] = held
        return Call(
            slot=start.slot,
            task=start.task,
            running=Running(fence=fence, task=start.task, queue=start.queue),
            function=held.work,
            bind=lambda _, __: ([], {}),
            encode=lambda _: b"",
            body=b"",
            content_type="",
            policy=DRIVER_POLICY,
        )

    def _is_alone(self) -> bool:
        return len(self._held) == 1

    def recall(self) -> None:
        """Have every cursor given back, as soon as what runs has ended."""
        for each in self._held.values():
            each.stop()

    def ended(self, slot: int) -> None:
        """This one is held no more."""
        self._held.pop(slot, None)

    def _runner(self, task: Task[..., Any]) -> RunOf:
        """Return what runs a handler for one event, and tells after how long to try again."""
        definition, handler = task.definition, Handler(task)
        terms = (task.options.terms or NO_TERMS).over(definition.terms)
        function = self._around(definition)

        async def run(cursor: Cursor, fact: Fact) -> float | None:
            running.set(_context(cursor, fact, task).until(terms.timeout))
            stored = fact.stored
            try:
                if too_new(definition, stored.version) is not None:
                    return 0.0
                bind = binder(definition, stored.version)
                args, kwargs = bind(handler.body(cursor, fact), stored.content_type)
                if terms.timeout:
                    async with asyncio.timeout(terms.timeout):
                        await function(*args, **kwargs)
                else:
                    await function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  whatever user code raises is its own end
                return _delay(handler, cursor, fact, error)
            return None

        return run


def _delay(handler: Handler, cursor: Cursor, fact: Fact, error: BaseException) -> float:
    """Return after how long a failed event is tried again, as a job; cancelling goes through."""
    own = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and own is not None and own.cancelling():
        raise error
    what = f"{type(error).__name__}: {str(error)[:200]}"
    log.warning("%s: event %d failed: %s", cursor.key, fact.offset, what)
    with contextlib.suppress(Exception):  # what cannot be told is tried at once
        if isinstance(error, Retry):
            return 0.0 if error.after is None else seconds(error.after, "after")
        if retryable(handler.task.definition.policy, error):
            return handler.delay(cursor, fact)
    return 0.0


def _context(cursor: Cursor, fact: Fact, task: Task[..., Any]) -> Running:
    stored = fact.stored
    return Running(
        fence=Fence(run_id(cursor, fact), 1, ""),
        task=task.name,
        queue=task.options.queue,
        key=line_of(cursor, stored.key),
        headers=stored.headers,
        routing_key=cursor.topic,
    )
