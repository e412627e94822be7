"""An app in a sandbox: the real engine, on memory, and a clock that only a test moves."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, ParamSpec, Protocol, Self, TypeVar, overload

from ropeway.backends.memory import MemoryBackend
from ropeway.clock import ManualClock, SystemClock
from ropeway.config import seconds
from ropeway.connect import Connecting
from ropeway.message import Message
from ropeway.results import Job
from ropeway.source import Stores
from ropeway.states import State
from ropeway.stepping import refuse_on_loop, step, stepping, unstepped
from ropeway.store import Filter
from ropeway.task import Task
from ropeway.testing.engine import Engine
from ropeway.testing.faults import Fault, Script, Scripted
from ropeway.testing.recorded import Move, Recorded
from ropeway.testing.sent import Sent, listed
from ropeway.testing.unheld import Unheld
from ropeway.testing.waits import Parked, SandboxConnection, Waiting
from ropeway.worker.locate import Application

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Duration = float | str | timedelta


class Testable(Application, Stores, Protocol):
    """What a sandbox needs of an app."""

    def connected(self, connection: Connecting) -> contextlib.AbstractContextManager[None]:
        """Have everything go over `connection` within the block."""
        ...


class Sandbox:
    """An app whose messages are kept in memory, and are run when a test says so.

    Use it with `with` or `async with`. Nothing runs by itself and time stands still: `run` runs
    what is due, `advance` moves the clock and runs what becomes due on the way, and `result`, of
    any job, does what it takes. Calls run on the app's real executors, and are claimed, retried
    and settled by the code that a worker runs. Each verb has a twin with an `a` in front.
    """

    def __init__(
        self, app: Testable, *, start: datetime | None, concurrency: int, patience: float
    ) -> None:
        self._app, self._concurrency, self._patience = app, concurrency, patience
        began = start.timestamp() if start is not None else SystemClock().now()
        self.clock = ManualClock(began)
        self._memory = MemoryBackend(self.clock)
        self._record = Recorded(self._memory)
        self._script = Script()
        self._parked = Parked()
        self._backend = Scripted(self._record, self._script, self._parked.stir)
        self._engine: Engine | None = None
        self._runner: asyncio.Runner | None = None
        self._driving = threading.Lock()
        self._leave = contextlib.ExitStack()

    def __enter__(self) -> Self:
        waiting = Waiting(Unheld(self._backend), self.clock, self._parked, self._wait)
        connection = SandboxConnection(self._app.connection, waiting, self.clock)
        self._leave.enter_context(self._app.connected(connection))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave.close()
        if self._runner is not None:
            self._runner.run(self._close())
            self._runner.close()
        elif self._engine is not None:
            self._engine.close()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave.close()
        await self._close()

    # -- running and time -----------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The date on the sandbox's clock, UTC."""
        return datetime.fromtimestamp(self.clock.now(), UTC)

    def run(self) -> list[Job[Any]]:
        """Run what is due, until nothing is; returns the jobs that had a turn, in order."""
        return self._blocking("run", self.arun)

    async def arun(self) -> list[Job[Any]]:
        """The same as `run`, for async code."""
        return self._jobs(await self._here().run())

    def run_one(self) -> Job[Any] | None:
        """Run one attempt of the next job that is due; returns the job, or None."""
        return self._blocking("run_one", self.arun_one)

    async def arun_one(self) -> Job[Any] | None:
        """The same as `run_one`, for async code."""
        return next(iter(self._jobs(await self._here().run(1))), None)

    def advance(self, by: Duration) -> list[Job[Any]]:
        """Move the clock `by` seconds, `"1h30m"` or a timedelta, running on the way what comes due.

        What is due now is run first. Returns the jobs that had a turn, in order.
        """
        return self._blocking("advance", lambda: self.aadvance(by))

    async def aadvance(self, by: Duration) -> list[Job[Any]]:
        """The same as `advance`, for async code."""
        return self._jobs(await self._here().advance(_seconds(by)))

    def run_all(self, within: Duration = "30d") -> list[Job[Any]]:
        """Run everything, also what is due later: the clock goes on, until no job is left to run.

        It goes on at most `within`, for some jobs always send another.
        """
        return self._blocking("run_all", lambda: self.arun_all(within))

    async def arun_all(self, within: Duration = "30d") -> list[Job[Any]]:
        """The same as `run_all`, for async code."""
        return self._jobs(await self._here().advance(_seconds(within), while_open=True))

    # -- looking --------------------------------------------------------------------------

    @overload
    def sent(self, task: None = None, /) -> list[Sent[Any]]: ...
    @overload
    def sent(self, task: Task[P, R], /) -> list[Sent[R]]: ...
    def sent(self, task: Task[..., Any] | None = None, /) -> list[Sent[Any]]:
        """Return what was sent, in order; with `task` only its calls."""
        name = None if task is None else task.name
        return [self._sent(each) for each in self._record.sent if name in {None, each.task}]

    def assert_sent(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Sent[R]:
        """Assert that this very call was sent, and return it: look there at its queue or delay."""
        __tracebackhide__ = True
        body = task.call(*args, **kwargs).message.body
        calls = self.sent(task)
        found = next((each for each in reversed(calls) if each.message.body == body), None)
        if found is None:
            said = f"{task.name} was not sent with {_call(args, kwargs)}"
            others = listed(calls or self.sent())
            raise AssertionError(f"{said}; sent {'to it' if calls else 'at all'}:{others}")
        return found

    def assert_not_sent(self, task: Task[..., Any], /) -> None:
        """Assert that no call of the task was sent."""
        __tracebackhide__ = True
        if calls := self.sent(task):
            raise AssertionError(f"{calls[0].task} was sent:{listed(calls)}")

    def history(self, job: Job[Any]) -> list[Move]:
        """Return every move of a job: into which state, by which attempt, charged to what, why."""
        return self._record.history(job.id)

    def delays(self, job: Job[Any]) -> list[float]:
        """Return the seconds that each retry of the job had to wait, in order."""
        charged = {"failures", "losses"}
        moves = [each for each in self.history(job) if each.charged in charged]
        return [each.delay or 0.0 for each in moves if each.state is State.QUEUED]

    def failures(self) -> list[str]:
        """Return what went wrong in jobs that are failed or quarantined, with the tracebacks."""
        found: list[str] = []
        for state in (State.FAILED, State.QUARANTINED):
            for job in step(self._memory.search(Filter(state=state), None, 1_000)).jobs:
                error = job.error
                said = f"{error.type}: {error.message}" if error else ""
                trace = f"\n{error.traceback}" if error and error.traceback else ""
                found.append(f"{job.message.task} ({job.message.id}) {state}: {said}{trace}")
        return found

    def assert_no_failures(self) -> None:
        """Assert that no job has failed for good, and show why one has."""
        __tracebackhide__ = True
        if found := self.failures():
            raise AssertionError("\n".join(found))

    # -- faults ---------------------------------------------------------------------------

    def inject(
        self, fault: Fault, *, into: Task[..., Any] | Job[Any] | None = None, times: int = 1
    ) -> None:
        """Have a fault happen to the next attempts, or commits, of a task or a job, or of any.

        To attempts: `killed`, `killed_after`, `timed_out`, `lease_lost`, `machine_lost`. To
        commits, which send and settle: `unavailable`, `full`, `request_lost`, `reply_lost`,
        `repeated`.
        """
        name = into.id if isinstance(into, Job) else into.name if into is not None else None
        self._script.add(fault, name, times)

    def faults_left(self) -> list[str]:
        """Return the faults that were injected and have not happened."""
        return self._script.left()

    # -- inside ---------------------------------------------------------------------------

    def _here(self) -> Engine:
        """Return the engine for the running loop: the tasks run on the loop of whoever asks."""
        loop = asyncio.get_running_loop()
        if self._engine is None or self._engine.loop is not loop:
            if self._engine is not None:
                self._engine.close()
            self._engine = Engine(
                self._app,
                self._memory,
                self._backend,
                self.clock,
                self._script,
                self._parked,
                concurrency=self._concurrency,
                patience=self._patience,
            )
        return self._engine

    async def _close(self) -> None:
        if self._engine is not None:
            await self._engine.aclose()

    def _blocking(self, verb: str, twin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        refuse_on_loop(verb, f"sandbox.a{verb}")
        if self._runner is None:
            # With a factory the runner leaves alone which loop this thread has otherwise.
            self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        with self._driving:
            return self._runner.run(twin())

    async def _wait(self, names: Sequence[str], timeout: float) -> list[str]:
        """Do what a test waits for; while another thread of it does, just wait."""
        if not stepping():
            return await self._here().wait(names, timeout)
        if self._driving.locked():
            return await self._memory.wait(names, timeout)
        with unstepped():
            return self._blocking("result", lambda: self._here_wait(names, timeout))

    async def _here_wait(self, names: Sequence[str], timeout: float) -> list[str]:
        return await self._here().wait(names, timeout)

    def _jobs(self, ids: Sequence[str]) -> list[Job[Any]]:
        return [self._app_job(each) for each in ids]

    def _app_job(self, job_id: str) -> Job[Any]:
        task = next((each.task for each in self._record.sent if each.id == job_id), None)
        known = self._app.tasks.get(task) if task else None
        return Job(self._app, job_id, known.definition.signature.result_type if known else Any)

    def _sent(self, message: Message) -> Sent[Any]:
        task = self._app.tasks.get(message.task)
        arguments: dict[str, Any] = {}
        if task is not None:
            definition = task.definition
            args, kwargs = definition.signature.decode(message.body, message.content_type)
            bound = inspect.signature(definition.function).bind_partial(*args, **kwargs)
            arguments = dict(bound.arguments)
        return Sent(self._app_job(message.id), message, arguments)


def _seconds(by: Duration) -> float:
    plain = by.total_seconds() if isinstance(by, timedelta) else by
    return seconds(plain, "by")


def _call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    said = [repr(each) for each in args] + [f"{name}={each!r}" for name, each in kwargs.items()]
    return f"({', '.join(said)})"
