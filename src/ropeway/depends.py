"""What a task is given where it runs: parameters that no caller sends."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Literal, TypeVar, overload

from ropeway.errors import BadTask

T = TypeVar("T")

Scope = Literal["run", "process"]
Provider = Callable[..., Any]


class Dependency:
    """The default of a parameter that is filled in where the task runs."""

    def __init__(self, provider: Provider, scope: Scope) -> None:
        self.provider, self.scope = provider, scope

    def __repr__(self) -> str:
        return f"Depends({getattr(self.provider, '__qualname__', self.provider)})"


@overload
def Depends(provider: Callable[..., AsyncIterator[T]], *, scope: Scope = "run") -> T: ...
@overload
def Depends(provider: Callable[..., Iterator[T]], *, scope: Scope = "run") -> T: ...
@overload
def Depends(provider: Callable[..., Coroutine[Any, Any, T]], *, scope: Scope = "run") -> T: ...
@overload
def Depends(provider: Callable[..., T], *, scope: Scope = "run") -> T: ...
def Depends(provider: Provider, *, scope: Scope = "run") -> Any:  # noqa: N802  reads as a type does
    """Have a parameter filled in by `provider` where the task runs; it is no part of a message.

    `provider` is a function, or a generator that yields the value once and goes on when the task
    has ended, with what the task raised; for coroutine functions it may be asynchronous. Its own
    parameters may be dependencies. With `scope="process"` there is one value for all runs of a
    process, given up at its end.
    """
    return Dependency(provider, scope)


def dependencies_of(function: Provider) -> dict[str, Dependency]:
    """Return the parameters of a function that are filled in, in their order."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if isinstance(p.default, Dependency)}


def sent_parameters(function: Provider, name: str) -> list[inspect.Parameter]:
    """Return the parameters that callers send; raises `BadTask` for an order they would not see."""
    sent: list[inspect.Parameter] = []
    filled: inspect.Parameter | None = None
    for parameter in inspect.signature(function).parameters.values():
        if isinstance(parameter.default, Dependency):
            filled = parameter
            continue
        by_position = parameter.kind in (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        )
        if filled is not None and filled.kind is not filled.KEYWORD_ONLY and by_position:
            raise BadTask(
                f"{name}: {parameter.name!r} comes after {filled.name!r}, which is filled in",
                hint=f"put {filled.name!r} last, or behind a *",
            )
        sent.append(parameter)
    return sent


def needs_loop(provider: Provider) -> bool:
    """Whether only an event loop can provide this, or something that it depends on."""
    if inspect.iscoroutinefunction(provider) or inspect.isasyncgenfunction(provider):
        return True
    return any(needs_loop(each.provider) for each in dependencies_of(provider).values())


def refuse_asynchronous(function: Provider, name: str) -> None:
    """Raise `BadTask` where a plain function depends on what only an event loop can provide."""
    for parameter, dependency in dependencies_of(function).items():
        if needs_loop(dependency.provider):
            raise BadTask(
                f"{name}: {parameter!r} needs an event loop, and the task runs in a thread",
                hint="provide it by plain functions, or make the task a coroutine function",
            )
