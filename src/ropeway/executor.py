"""The contract of an executor: runs calls of one kind, and says what it can interrupt."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import Any, Literal, Protocol

from msgspec import Struct

from ropeway.context import Running
from ropeway.message import Kind, Outcome
from ropeway.retry import DEFAULT, RetryPolicy

Interrupts = Literal["cooperative", "cancel", "kill"]


Bind = Callable[[bytes, str], tuple[list[Any], dict[str, Any]]]
SetApart = Callable[[Outcome], Coroutine[Any, Any, Outcome]]


class Call(Struct, frozen=True, kw_only=True):
    """A call ready to run: the function, how to get its arguments, and its limits.

    `slot` is the number under which the supervisor knows it, `running` what it can know of itself.
    `bind` decodes the arguments and `encode` the result; both run where the call runs, and so does
    `set_apart`, through which the outcome goes if its value has more than `inline` bytes. `policy`
    judges exceptions; `timeout` is in seconds.
    """

    slot: int
    task: str
    running: Running
    function: Callable[..., Any]
    bind: Bind
    encode: Callable[[Any], bytes]
    body: bytes
    content_type: str
    policy: RetryPolicy = DEFAULT
    timeout: float | None = None
    inline: int = sys.maxsize
    set_apart: SetApart | None = None


class NotRun(Exception):
    """Raised in place of a function's start, or of its return: the call ends with this outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


Ended = Callable[[int, Outcome], None]


class Trace(Protocol):
    """Where an executor notes what runs, so that it can be told when the process has died."""

    def begin(self, slot: int) -> bool:
        """The call in `slot` starts; False if it has been withdrawn, and must not run."""
        ...

    def enter(self, place: int, slot: int) -> None:
        """User code of the call in `slot` is about to run at `place`: 0 is the loop."""
        ...

    def leave(self, place: int) -> None:
        """No user code runs at `place` now."""
        ...


class Executor(Protocol):
    """Runs calls and reports each exactly once through `ended`; a call never raises into it."""

    @property
    def kind(self) -> Kind:
        """Which messages it takes."""
        ...

    @property
    def slots(self) -> int:
        """How many calls it runs at once."""
        ...

    @property
    def interrupts(self) -> Interrupts:
        """What it can do to a call that must stop."""
        ...

    def submit(self, call: Call) -> None:
        """Run the call when a slot is free; the trace is written before its first line.

        One that the trace does not let begin ends as interrupted.
        """
        ...

    def recall(self) -> list[int]:
        """Take back every call that has not started, and return their slots."""
        ...

    def interrupt(self, slot: int) -> None:
        """Ask a running call to stop, as far as `interrupts` goes."""
        ...

    def threads(self) -> dict[int, Call]:
        """Return the calls that have a thread of their own, by the thread's number."""
        ...

    def close(self) -> None:
        """Take no more calls, and free what is idle."""
        ...
