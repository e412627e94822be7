"""What a user holds: tasks by name, and the connection they are sent over."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import sys
import weakref
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

import msgspec

from ropeway.config import load, seconds
from ropeway.connect import Connecting, Connection
from ropeway.errors import BadTask
from ropeway.message import DEFAULT_BAND, DEFAULT_QUEUE, Kind
from ropeway.results import Job
from ropeway.retry import RetryPolicy, class_name
from ropeway.stepping import step, stepping
from ropeway.store import Backend
from ropeway.task import (
    AsyncTask,
    Call,
    Definition,
    Options,
    Task,
    checked_priority,
    checked_queue,
    send_all,
)

if TYPE_CHECKING:
    from ropeway.worker.embedded import EmbeddedWorker

P = ParamSpec("P")
R = TypeVar("R")

_CHUNK = 1000


class Registrar:
    """The decorator that `app.task(...)` returns when it is given options."""

    def __init__(self, app: Ropeway, **options: Any) -> None:
        self._app = app
        self._options = options

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]]) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> Task[P, R]: ...
    def __call__(self, function: Callable[..., Any]) -> Task[..., Any]:
        return self._app.register(function, **self._options)


class Ropeway:
    """An application: its settings, its tasks, and where their messages are kept.

    `url` and the settings may be given by `ROPEWAY_*` variables, here, or in `[tool.ropeway]` of
    `pyproject.toml`; the first of these wins. Nothing is opened before the first use. Safe to share between
    threads, event loops and forked processes.
    """

    def __init__(self, url: str | None = None, **settings: Any) -> None:
        given = dict(settings)
        if url is not None:
            given["url"] = url
        self.given = given
        self.settings = load(given)
        self.connection: Connecting = Connection.of(self.settings)
        self.tasks: dict[str, Task[..., Any]] = {}
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Backend]
        self._by_loop = weakref.WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"<Ropeway {self.settings.url} with {len(self.tasks)} tasks>"

    @property
    def store(self) -> Backend:
        """The backend for the calling context: the running loop's own, or the blocking one."""
        if stepping():
            return self.connection.blocking()
        loop = asyncio.get_running_loop()
        backend = self._by_loop.get(loop)
        if backend is None:
            backend = self._by_loop[loop] = self.connection.looped()
        return backend

    async def aclose(self) -> None:
        """Give up what the running event loop holds open. Another use opens it again."""
        backend = self._by_loop.pop(asyncio.get_running_loop(), None)
        if backend is not None:
            await backend.close()

    # -- tasks ----------------------------------------------------------------------------

    @overload
    def task(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(
        self,
        function: None = None,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        priority: int = DEFAULT_BAND,
        retries: int | RetryPolicy = 3,
        dont_retry_on: tuple[type[BaseException], ...] = (),
        timeout: float | str | None = None,
        cpu: bool = False,
    ) -> Registrar: ...
    def task(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        priority: int = DEFAULT_BAND,
        retries: int | RetryPolicy = 3,
        dont_retry_on: tuple[type[BaseException], ...] = (),
        timeout: float | str | None = None,
        cpu: bool = False,
    ) -> Any:
        """Register a function as a task.

        `retries` failures are tried again, with a growing random delay, unless the exception is
        one of `dont_retry_on`. `timeout` (seconds or `"5m"`) stops a run that takes longer.
        `queue` and `priority` are the defaults that `using` can change. A coroutine function runs
        on the worker's event loop, a plain one in a thread, or, with `cpu=True`, alone in a process
        that is kept for such tasks: one call on each core. Raises `BadTask`.
        """
        registrar = Registrar(
            self,
            name=name,
            policy=_policy(retries, dont_retry_on),
            timeout=None if timeout is None else seconds(timeout, "timeout"),
            cpu=cpu,
            options=Options(queue=checked_queue(queue), band=checked_priority(priority)),
        )
        return registrar if function is None else registrar(function)

    def register(
        self,
        function: Callable[..., Any],
        *,
        name: str | None,
        policy: RetryPolicy,
        timeout: float | None,
        cpu: bool,
        options: Options,
    ) -> Task[..., Any]:
        """Register a function: what the decorator `task` does."""
        _refuse_unusable(function)
        asynchronous = inspect.iscoroutinefunction(function)
        name = name or default_name(function)
        if cpu and asynchronous:
            raise BadTask(
                f"{name} has cpu=True and is a coroutine function, which would wait on its core",
                hint="make it a plain function, or leave cpu=True out",
            )
        kind: Kind = "loop" if asynchronous else "cpu" if cpu else "threads"
        if name in self.tasks:
            raise BadTask(f"two tasks are called {name}", hint="give one of them another name=")
        definition = Definition(function, name, kind, policy, timeout)
        form = AsyncTask if asynchronous else Task
        task: Task[..., Any] = form(function, definition, self, options)
        self.tasks[name] = task
        return task

    # -- jobs -----------------------------------------------------------------------------

    def send_many(self, calls: Iterable[Call[R]]) -> list[Job[R]]:
        """Send many calls, a thousand at a time; each is durable when this returns.

        The jobs come back in the order of the calls. If it raises, some may have been sent.
        """
        return step(self.asend_many(calls))

    async def asend_many(self, calls: Iterable[Call[R]]) -> list[Job[R]]:
        """The same as `send_many`, for async code."""
        jobs: list[Job[R]] = []
        remaining = iter(calls)
        while chunk := list(itertools.islice(remaining, _CHUNK)):
            jobs += await send_all(self, chunk)
        return jobs

    # -- working --------------------------------------------------------------------------

    def worker(
        self,
        *,
        queues: Sequence[str] | None = None,
        loop_slots: int = 100,
        thread_slots: int = 8,
    ) -> EmbeddedWorker:
        """Return a worker inside this process: `async with app.worker():`, or `.run()` to block.

        For tests, notebooks and small deployments: nothing here survives a task that takes down
        its process, and what never stops cannot be killed. `ropeway worker` has neither weakness.
        """
        from ropeway.worker.embedded import EmbeddedWorker

        slots: dict[Kind, int] = {"loop": loop_slots, "threads": thread_slots}
        return EmbeddedWorker(self, queues=queues, slots=slots)

    # -- jobs by id -----------------------------------------------------------------------

    def job(self, job_id: str) -> Job[Any]:
        """Return the handle of a job that was sent before, by its id."""
        return Job(self, job_id)


def default_name(function: Callable[..., Any]) -> str:
    """The name of a task that was given none: `module.function`.

    In a file that is run directly the module is called `__main__`; a worker imports the same file
    under its own name, so that name is used.
    """
    module = function.__module__
    if module == "__main__":
        main = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        path = getattr(main, "__file__", None)
        module = spec.name.removesuffix(".__main__") if spec else Path(path or "main").stem
    return f"{module}.{function.__qualname__}"


def _policy(
    retries: int | RetryPolicy, dont_retry_on: tuple[type[BaseException], ...]
) -> RetryPolicy:
    names = tuple(class_name(kind) for kind in dont_retry_on)
    if isinstance(retries, RetryPolicy):
        names = (*retries.non_retryable, *names)
        return msgspec.structs.replace(retries, non_retryable=names)
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise BadTask(
            f"retries={retries!r} is not a count", hint="write 0 or more, or a RetryPolicy"
        )
    return RetryPolicy(retries=retries, non_retryable=names)


def _refuse_unusable(function: object) -> None:
    if isinstance(function, Task):
        raise BadTask(f"{function.name} is a task already")
    if not inspect.isfunction(function):
        raise BadTask(
            f"{function!r} is not a plain function", hint="decorate a function defined with def"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise BadTask(
            f"{function.__qualname__} is a generator", hint="return a list, or send more tasks"
        )
    if "<lambda>" in function.__qualname__:
        raise BadTask("a lambda has no name that a worker could find", hint="use def")
