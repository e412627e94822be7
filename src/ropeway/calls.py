"""Calls that are not sent yet, and what they are put together to: chains and groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast, overload

from ropeway.errors import BadArguments
from ropeway.message import Message
from ropeway.nodes import Hole, Node
from ropeway.runs.handle import Run
from ropeway.unique import Unique

R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)

_SHOWN = 1_000

Add = Callable[["Call[Any]", Sequence[Node]], Node]
"""Makes a call a node that waits for others."""


class Takes(Protocol[T_contra, S_co]):
    """A task that one argument is enough for."""

    def call(self, value: T_contra, /) -> Call[S_co]:
        """Return its call with that argument."""
        ...


class Call(Generic[R_co]):
    """A task with its arguments, checked and encoded, not yet sent.

    Hand it to `send_many`, or make it a node of a workflow. `a.call(...) | b` gives what `a` returns
    to `b`, and `a.call(...) | b.call(...)` only has the two run in that order.
    """

    __slots__ = ("app", "connection", "holes", "message", "result_type", "unique")

    def __init__(
        self,
        message: Message,
        result_type: Any,
        unique: Unique | None = None,
        connection: Any = None,
        app: Any = None,
        holes: Sequence[Hole] = (),
    ) -> None:
        self.message = message
        self.result_type = result_type
        self.unique = unique
        self.connection = connection
        self.app = app
        self.holes = holes

    def of(self, message: Message) -> Call[R_co]:
        """Return the same call with another message."""
        return Call(message, self.result_type, self.unique, self.connection, self.app, self.holes)

    def __repr__(self) -> str:
        body = self.message.body
        more = f"… {len(body):,} bytes" if len(body) > _SHOWN else ""
        return f"<Call {self.message.task} {body[:_SHOWN].decode(errors='replace')}{more}>"

    @overload
    def __or__(self, then: Call[S]) -> Chain[S]: ...
    @overload
    def __or__(self, then: Parallel[S]) -> Chain[list[S]]: ...
    @overload
    def __or__(self, then: Takes[R_co, S]) -> Chain[S]: ...
    def __or__(self, then: Any) -> Chain[Any]:
        return Chain([self]).then(then)


class Chain(Generic[R_co]):
    """Calls one after the other, made by `|`; `send` runs them, and the result is the last one's."""

    def __init__(self, steps: Sequence[Any]) -> None:
        self._steps = steps

    def __repr__(self) -> str:
        return f"<Chain of {len(self._steps)}>"

    @overload
    def __or__(self, then: Call[S]) -> Chain[S]: ...
    @overload
    def __or__(self, then: Parallel[S]) -> Chain[list[S]]: ...
    @overload
    def __or__(self, then: Takes[R_co, S]) -> Chain[S]: ...
    def __or__(self, then: Any) -> Chain[Any]:
        return self.then(then)

    def then(self, then: Any) -> Chain[Any]:
        """Return the chain with one more step."""
        if not isinstance(then, Call | Chain | Parallel) and not hasattr(then, "call"):
            raise BadArguments(
                f"{then!r:.200} cannot follow in a chain", hint="write a task, or a call of one"
            )
        return Chain([*self._steps, then])

    @property
    def app(self) -> Any:
        """What its first task is registered with."""
        return self._steps[0].app

    def added(self, add: Add, before: Sequence[Node]) -> Any:
        """Make nodes of the calls; returns the last one."""
        last: Any = None
        for step in self._steps:
            if isinstance(step, Call):
                last = add(step, before)
            elif isinstance(step, Chain | Parallel):
                last = step.added(add, before)
            else:
                last = add(step.call(last), ())
            before = last if isinstance(last, list) else [last]
        return last

    def send(self) -> Run[R_co]:
        """Begin a run of the chain; see `Workflow.send`."""
        run: Run[R_co] = _workflow(self).send()
        return run

    async def asend(self) -> Run[R_co]:
        """The same as `send`, for async code."""
        run: Run[R_co] = await _workflow(self).asend()
        return run


class Parallel(Generic[R_co]):
    """Calls side by side, made by `group`; what follows gets the list of their results."""

    def __init__(self, members: Sequence[Any]) -> None:
        self._members = members

    def __repr__(self) -> str:
        return f"<group of {len(self._members)}>"

    @overload
    def __or__(self, then: Call[S]) -> Chain[S]: ...
    @overload
    def __or__(self, then: Parallel[S]) -> Chain[list[S]]: ...
    @overload
    def __or__(self, then: Takes[list[R_co], S]) -> Chain[S]: ...
    def __or__(self, then: Any) -> Chain[Any]:
        return Chain([self]).then(then)

    @property
    def app(self) -> Any:
        """What its first task is registered with."""
        return self._members[0].app

    def added(self, add: Add, before: Sequence[Node]) -> list[Any]:
        """Make nodes of the members; returns them in order."""
        return [
            add(each, before) if isinstance(each, Call) else each.added(add, before)
            for each in self._members
        ]

    def send(self) -> Run[list[R_co]]:
        """Begin a run of the group; see `Workflow.send`."""
        run: Run[list[R_co]] = _workflow(self).send()
        return run

    async def asend(self) -> Run[list[R_co]]:
        """The same as `send`, for async code."""
        run: Run[list[R_co]] = await _workflow(self).asend()
        return run


def group(*calls: Call[S] | Chain[S] | Iterable[Call[S]]) -> Parallel[S]:
    """Have calls, or chains, run side by side: `group(a.call(1), a.call(2)) | total`."""
    members: list[Any] = []
    for each in calls:
        members += [each] if isinstance(each, Call | Chain) else list(cast("Iterable[Any]", each))
    wrong = next((each for each in members if not isinstance(each, Call | Chain)), None)
    if wrong is not None or not members:
        raise BadArguments(
            f"{wrong!r:.200} is no call of a task" if members else "the group is empty",
            hint="write group(task.call(...), task.call(...))",
        )
    return Parallel(members)


def _workflow(shape: Chain[Any] | Parallel[Any]) -> Any:
    workflow = shape.app.workflow("chain" if isinstance(shape, Chain) else "group")
    workflow.add(shape)
    return workflow
