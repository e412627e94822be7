"""Where a task runs: what is around it, and what it is given; both end when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

from ropeway.depends import Dependency, Provider, dependencies_of, needs_loop
from ropeway.middleware import Hooks

Values = dict[Provider, Any]


class Surroundings:
    """Those of one process. Entered on its event loop, before the first call and after the last."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._lasting: Values = {}
        self._lock, self._alone = threading.RLock(), asyncio.Lock()
        self._plain, self._whole = contextlib.ExitStack(), contextlib.AsyncExitStack()

    async def begin(self) -> None:
        """Do what is to be done when a process begins; what that raises comes through."""
        for each in self._hooks.lifespans:
            if inspect.isasyncgenfunction(each):
                await self._whole.enter_async_context(contextlib.asynccontextmanager(each)())
            else:
                self._whole.enter_context(contextlib.contextmanager(each)())  # type: ignore[arg-type]  # it is the other kind of generator

    async def end(self) -> None:
        """Give up what lasted as long as the process, the newest first."""
        try:
            self._plain.close()
        finally:
            await self._whole.aclose()

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with all that belongs around it."""
        wanted = dependencies_of(function)
        if not wanted and not self._hooks.runs:
            return function
        if inspect.iscoroutinefunction(function):
            return self._around_coroutine(function, wanted)
        return self._around_plain(function, wanted)

    def _around_plain(
        self, function: Callable[..., Any], wanted: Mapping[str, Dependency]
    ) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            raised: BaseException | None = None
            with contextlib.ExitStack() as stack:
                for each in self._hooks.runs:
                    if inspect.isgeneratorfunction(each):
                        stack.enter_context(contextlib.contextmanager(each)())
                values: Values = {}
                for name, dependency in wanted.items():
                    kwargs[name] = self._provide(dependency, stack, values)
                try:
                    return function(*args, **kwargs)
                except BaseException as error:
                    raised = error
                    raise
            raise raised  # what is around a task may see its error, and not hide it

        return run

    def _around_coroutine(
        self, function: Callable[..., Any], wanted: Mapping[str, Dependency]
    ) -> Callable[..., Any]:
        async def run(*args: Any, **kwargs: Any) -> Any:
            raised: BaseException | None = None
            async with contextlib.AsyncExitStack() as stack:
                for each in self._hooks.runs:
                    if inspect.isasyncgenfunction(each):
                        await stack.enter_async_context(contextlib.asynccontextmanager(each)())
                    else:
                        stack.enter_context(contextlib.contextmanager(each)())  # type: ignore[arg-type]  # it is the other kind of generator
                values: Values = {}
                for name, dependency in wanted.items():
                    kwargs[name] = await self._aprovide(dependency, stack, values)
                try:
                    return await function(*args, **kwargs)
                except BaseException as error:
                    raised = error
                    raise
            raise raised

        return run

    # -- values ---------------------------------------------------------------------------

    def _provide(self, dependency: Dependency, stack: contextlib.ExitStack, values: Values) -> Any:
        provider = self._hooks.overrides.get(dependency.provider, dependency.provider)
        if dependency.scope == "process":
            with self._lock:
                if provider not in self._lasting:
                    self._lasting[provider] = self._made(provider, self._plain, self._lasting)
                return self._lasting[provider]
        if provider not in values:
            values[provider] = self._made(provider, stack, values)
        return values[provider]

    def _made(self, provider: Provider, stack: contextlib.ExitStack, values: Values) -> Any:
        given = {
            name: self._provide(each, stack, values)
            for name, each in dependencies_of(provider).items()
        }
        if inspect.isgeneratorfunction(provider):
            return stack.enter_context(contextlib.contextmanager(provider)(**given))
        return provider(**given)

    async def _aprovide(
        self, dependency: Dependency, stack: contextlib.AsyncExitStack, values: Values
    ) -> Any:
        provider = self._hooks.overrides.get(dependency.provider, dependency.provider)
        if dependency.scope == "process":
            if not needs_loop(provider):
                return self._provide(dependency, self._plain, values)
            async with self._alone:
                if provider not in self._lasting:
                    made = await self._amade(provider, self._whole, self._lasting)
                    self._lasting[provider] = made
                return self._lasting[provider]
        if provider not in values:
            values[provider] = await self._amade(provider, stack, values)
        return values[provider]

    async def _amade(
        self, provider: Provider, stack: contextlib.AsyncExitStack, values: Values
    ) -> Any:
        given = {
            name: await self._aprovide(each, stack, values)
            for name, each in dependencies_of(provider).items()
        }
        if inspect.isasyncgenfunction(provider):
            return await stack.enter_async_context(
                contextlib.asynccontextmanager(provider)(**given)
            )
        if inspect.isgeneratorfunction(provider):
            return stack.enter_context(contextlib.contextmanager(provider)(**given))
        value = provider(**given)
        return await value if inspect.isawaitable(value) else value
