"""What an app does around every send and every run, and at the begin and end of its processes."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from ropeway.errors import BadTask
from ropeway.message import Message


class Sending:
    """One call that is about to be sent; what is done to its `headers` is sent with it."""

    __slots__ = ("headers", "id", "queue", "task")

    def __init__(self, message: Message) -> None:
        self.id, self.task, self.queue = message.id, message.task, message.queue
        self.headers = dict(message.headers)


AroundSend = Callable[[Sequence[Sending]], Iterator[None]]
Around = Callable[[], Iterator[None] | AsyncIterator[None]]
S = TypeVar("S", bound=AroundSend)
A = TypeVar("A", bound=Around)


class Hooks:
    """What was registered, in the order of registration: the first is the outermost."""

    def __init__(self) -> None:
        self.sends: list[AroundSend] = []
        self.runs: list[Around] = []
        self.lifespans: list[Around] = []
        self.overrides: dict[Callable[..., Any], Callable[..., Any]] = {}

    @contextlib.contextmanager
    def sending(self, messages: Sequence[Message]) -> Iterator[list[Message]]:
        """Go through what is around a send; yields the messages as they are to be sent."""
        calls = [Sending(message) for message in messages]
        with contextlib.ExitStack() as stack:
            for each in self.sends:
                stack.enter_context(contextlib.contextmanager(each)(calls))
            yield [
                message
                if call.headers == message.headers
                else replace(message, headers={str(k): str(v) for k, v in call.headers.items()})
                for call, message in zip(calls, messages, strict=True)
            ]

    def add_send(self, function: S) -> S:
        """Register what goes around each send."""
        _refuse(function, "around_send", asynchronous=False)
        self.sends.append(function)
        return function

    def add_run(self, function: A) -> A:
        """Register what goes around each run."""
        _refuse(function, "around_run", asynchronous=True)
        self.runs.append(function)
        return function

    def add_lifespan(self, function: A) -> A:
        """Register what is done when a process begins to run tasks, and when it ends."""
        _refuse(function, "lifespan", asynchronous=True)
        self.lifespans.append(function)
        return function


def _refuse(function: Callable[..., Any], what: str, *, asynchronous: bool) -> None:
    if inspect.isgeneratorfunction(function):
        return
    if asynchronous and inspect.isasyncgenfunction(function):
        return
    raise BadTask(
        f"{function!r} cannot be used as {what}: it is no generator function",
        hint="write a function with one yield: what is before it is done first, the rest after",
    )
