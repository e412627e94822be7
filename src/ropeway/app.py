"""What a user holds: tasks by name, and the connection they are sent over."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import weakref
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, overload

from ropeway.bounds import Overflow, Queue
from ropeway.calls import Call
from ropeway.capabilities import require
from ropeway.clock import Clock
from ropeway.config import load
from ropeway.connect import Connecting, Connection
from ropeway.control import Workers
from ropeway.depends import refuse_asynchronous
from ropeway.errors import BadArguments, BadTask, ConfigError
from ropeway.exchanges import ExchangeHandle, Exchanges, QueueHandle
from ropeway.limiting import LimitValue
from ropeway.limits import Limits
from ropeway.message import Kind, Terms
from ropeway.middleware import A, Hooks, S
from ropeway.naming import default_name, refuse_unusable
from ropeway.options import Duration, ForTask, Options, checked_queue, duration, for_task
from ropeway.quarantine import Quarantine
from ropeway.results import Job
from ropeway.retry import RetryPolicy
from ropeway.routing import Exchange, ExchangeType
from ropeway.runs.handle import Run
from ropeway.schedules.api import Schedules, T
from ropeway.schedules.options import Rest
from ropeway.sending import chunks, send_all, send_chunks
from ropeway.stepping import stepping
from ropeway.store import Backend
from ropeway.task import AsyncTask, Definition, Task
from ropeway.topics import Retention, Topic, TopicRecord, Topics, type_name
from ropeway.topics.records import MOST_PARTITIONS, checked_name
from ropeway.topics.retention import DEFAULT_AGE, retention_of
from ropeway.workflows.build import Workflow
from ropeway.workflows.steps import inner_tasks

if TYPE_CHECKING:
    from ropeway.testing.sandbox import Sandbox
    from ropeway.worker.embedded import EmbeddedWorker

P = ParamSpec("P")
R = TypeVar("R")


class Registrar:
    """The decorator that `app.task(...)` returns when it is given options."""

    def __init__(self, app: Ropeway, *options: Any) -> None:
        self._app = app
        self._options = options

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]]) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> Task[P, R]: ...
    def __call__(self, function: Callable[..., Any]) -> Task[..., Any]:
        return self._app.register(function, *self._options)


class Ropeway:
    """An application: its settings, its tasks, and where their messages are kept.

    Messages and records are at `url`; with `broker=`, plain messages travel through that one, and
    `url`, or `store`, which is another word for it, keeps the records: a pair. `limits` are
    declared for all tasks that name them. `url` and the settings may be given by
    `ROPEWAY_*` variables, here, or in `[tool.ropeway]` of `pyproject.toml`; the first of these
    wins. Nothing is opened before the first use. Safe to share between threads, event loops and
    forked processes.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        store: str | None = None,
        limits: Mapping[str, LimitValue] | None = None,
        **settings: Any,
    ) -> None:
        given = dict(settings)
        if url is not None and store is not None:
            raise ConfigError("url and store are the same: where records are kept", hint="give one")
        if (kept := url if store is None else store) is not None:
            given["url"] = kept
        self.given = given
        self.settings = load(given)
        self.connection: Connecting = Connection.of(self.settings)
        self.tasks: dict[str, Task[..., Any]] = {}
        self.inner: dict[str, Task[..., Any]] = inner_tasks(self)
        self.hooks = Hooks()
        self.limits = Limits(self, limits or {})
        self.exchanges = Exchanges(self)
        self.schedules = Schedules(self)
        self.topics = Topics(self)
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Backend]
        self._by_loop = weakref.WeakKeyDictionary()
        self.workers = Workers(self)

    def __repr__(self) -> str:
        return f"<Ropeway {self.settings.where} with {len(self.tasks)} tasks>"

    @property
    def store(self) -> Backend:
        """The backend for the calling context: the running loop's own, or the blocking one."""
        if stepping():
            return self.connection.blocking()
        loop = asyncio.get_running_loop()
        backend = self._by_loop.get(loop)
        if backend is None:
            for each in self._by_loop.keyrefs():  # what a backend holds may lead back to its loop
                if (other := each()) is not None and other.is_closed():
                    self._by_loop.pop(other, None)
            backend = self._by_loop[loop] = self.connection.looped()
        return backend

    @property
    def clock(self) -> Clock:
        """What the time of those who wait for a result is measured by."""
        return self.connection.clock

    @property
    def longest_wait(self) -> float:
        """Seconds after which they look by themselves, for a hint may be lost."""
        return self.connection.longest_wait

    @contextlib.contextmanager
    def connected(self, connection: Connecting) -> Iterator[None]:
        """Have everything go over another connection within the block."""
        before = self.connection, self._by_loop
        self.connection, self._by_loop = connection, weakref.WeakKeyDictionary()
        try:
            yield
        finally:
            self.connection, self._by_loop = before

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
        cpu: bool = False,
        **options: Unpack[ForTask],
    ) -> Registrar: ...
    def task(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        cpu: bool = False,
        **options: Unpack[ForTask],
    ) -> Any:
        """Register a function as a task.

        `retries` failures are tried again (3 unless told otherwise), with a growing random delay:
        of those exceptions alone that are one of `retry_on`, if it is given, and never those of
        `dont_retry_on`. `timeout` (seconds or `"5m"`) stops a run that takes longer. If it does not
        stop, its process is ended after `hard_timeout`; so it is if a `cpu` task takes more
        `memory` (`"512MB"`). The other options are those of `Task.using`, here for every call. A
        coroutine function runs on the worker's event loop, a plain one in a thread, or, with
        `cpu=True`, alone in a process that is kept for such tasks: one call on each core. Raises
        `BadTask` and `BadArguments`.
        """
        limits = options.get("limits")
        if isinstance(limits, Mapping):
            self.limits.declare(limits)
            options["limits"] = tuple(limits)
        registrar = Registrar(self, name, cpu, *for_task(options))
        return registrar if function is None else registrar(function)

    def register(
        self,
        function: Callable[..., Any],
        name: str | None,
        cpu: bool,
        options: Options,
        terms: Terms,
        policy: RetryPolicy,
    ) -> Task[..., Any]:
        """Register a function: what the decorator `task` does."""
        refuse_unusable(function)
        asynchronous = inspect.iscoroutinefunction(function)
        name = name or default_name(function)
        if cpu and asynchronous:
            raise BadTask(
                f"{name} has cpu=True and is a coroutine function, which would wait on its core",
                hint="make it a plain function, or leave cpu=True out",
            )
        kind: Kind = "loop" if asynchronous else "cpu" if cpu else "threads"
        if terms.memory is not None and kind != "cpu":
            raise BadTask(
                f"{name} has memory= and shares its process with others",
                hint="add cpu=True, or limit whole processes: ropeway worker --max-memory",
            )
        if not asynchronous:
            refuse_asynchronous(function, name)
        if name in self.tasks:
            raise BadTask(f"two tasks are called {name}", hint="give one of them another name=")
        version = 1 if options.terms is None else options.terms.version
        definition = Definition(function, name, kind, policy, terms, version)
        form = AsyncTask if asynchronous else Task
        task: Task[..., Any] = form(function, definition, self, options)
        self.tasks[name] = task
        return task

    # -- around them ----------------------------------------------------------------------

    def around_send(self, function: S) -> S:
        """Register a generator function that goes around each send.

        It gets the calls that are sent together, and may change their `headers`; at its `yield`
        they are sent. What the send raises is raised there, and what it raises itself refuses them.
        """
        return self.hooks.add_send(function)

    def around_run(self, function: A) -> A:
        """Register a generator function, plain or async, that goes around each run of a task.

        At its `yield` the task runs; `current` tells which. What the task raises is raised there
        too, and what it raises itself is a failure of the run. An async one is around coroutine
        functions only.
        """
        return self.hooks.add_run(function)

    def lifespan(self, function: A) -> A:
        """Register a generator function, plain or async, for each process that runs tasks.

        What is before its `yield` is done before the first call; if it raises, the process ends as
        if the app could not be imported. What is after it is done at the end, within some seconds.
        """
        return self.hooks.add_lifespan(function)

    @contextlib.contextmanager
    def override(
        self, provider: Callable[..., Any], replacement: Callable[..., Any]
    ) -> Iterator[None]:
        """Have `replacement` provide what `provider` does, within the block: for tests."""
        before = dict(self.hooks.overrides)
        self.hooks.overrides[provider] = replacement
        try:
            yield
        finally:
            self.hooks.overrides = before

    # -- jobs -----------------------------------------------------------------------------

    @property
    def quarantine(self) -> Quarantine:
        """What cannot be run or failed for good, by cause; and what to do about it."""
        return Quarantine(self)

    def send_many(self, calls: Iterable[Call[R]], *, spread: Duration = 0.0) -> list[Job[R]]:
        """Send many calls, a thousand at a time; each is durable when this returns.

        With `spread` they come due one after the other, evenly over that time. The jobs come back
        in the order of the calls. If it raises, some may have been sent.
        """
        return send_chunks(self, chunks(calls, spread))

    async def asend_many(self, calls: Iterable[Call[R]], *, spread: Duration = 0.0) -> list[Job[R]]:
        """The same as `send_many`, for async code."""
        jobs: list[Job[R]] = []
        for chunk in chunks(calls, spread):
            jobs += await send_all(self, chunk)
        return jobs

    # -- workflows ------------------------------------------------------------------------

    def workflow(
        self,
        name: str,
        *,
        keep: Duration = "7d",
        queue: str | None = None,
        priority: int | None = None,
    ) -> Workflow:
        """Return a workflow to add tasks to: `with app.workflow("etl") as wf:`, then `wf.send()`.

        `queue` and `priority` are for those of its nodes whose tasks say nothing else; its results
        and its record are kept for `keep`. Leaving the block checks the graph.
        """
        return Workflow(self, name, keep=keep, queue=queue, priority=priority)

    def run(self, run_id: str) -> Run[Any]:
        """Return the handle of a run of a workflow that was sent before, by its id."""
        if not isinstance(run_id, str):
            raise BadArguments(f"{run_id!r} is no run's id", hint="ids are texts: run.id")
        return Run(self, run_id)

    # -- routing --------------------------------------------------------------------------

    def exchange(
        self,
        name: str,
        type: ExchangeType = "direct",
        *,
        alternate: str | ExchangeHandle | None = None,
        auto_delete: bool = False,
        internal: bool = False,
    ) -> ExchangeHandle:
        """Declare an exchange: "direct", "fanout", "topic" or "headers"; bind queues to it then.

        `alternate` is the exchange that gets what no binding wants. One that is `auto_delete` goes
        with the last binding from it; only exchanges can be bound to one that is `internal`.
        """
        other = alternate.name if isinstance(alternate, ExchangeHandle) else alternate
        return self.exchanges.add(
            Exchange(
                name=name, type=type, alternate=other, auto_delete=auto_delete, internal=internal
            )
        )

    def queue(
        self,
        name: str,
        *,
        max_length: int | None = None,
        overflow: Overflow = "reject",
        message_ttl: Duration | None = None,
        dead_letter_exchange: str | ExchangeHandle | None = None,
        dead_letter_key: str | None = None,
        durable: bool = True,
        auto_delete: bool = False,
        exclusive: bool = False,
    ) -> QueueHandle:
        """Declare options of a queue; one without any needs no declaration.

        Of more than `max_length` that wait a send is refused with `Backpressure` ("reject"), waits
        up to `block_timeout` for room ("block"), or drops the one that has waited longest
        ("drop_oldest"). What has not begun `message_ttl` after it was due expires. What expires,
        is dropped, is quarantined or fails for good goes to `dead_letter_exchange` as well, by
        `dead_letter_key` or the routing key it came with. `durable=False` promises less, and every
        queue lasts as long as what it is in. One that is `auto_delete` goes, with what waits in it,
        when the last worker that took from it has gone; from one that is `exclusive` only the
        first worker takes, and it goes with that.
        """
        dead = dead_letter_exchange
        ttl = None if message_ttl is None else duration(message_ttl, "message_ttl")
        return self.exchanges.add_queue(
            Queue(
                name=checked_queue(name),
                max_length=max_length,
                overflow=overflow,
                message_ttl=ttl,
                dead_letter_exchange=dead.name if isinstance(dead, ExchangeHandle) else dead,
                dead_letter_key=dead_letter_key,
                durable=durable,
                auto_delete=auto_delete,
                exclusive=exclusive,
            )
        )

    # -- schedules ------------------------------------------------------------------------

    def schedule(
        self, cron: str | None = None, *, name: str | None = None, **options: Unpack[Rest]
    ) -> Callable[[T], T]:
        """Have a task be sent by a timetable, whenever and as long as a worker of this app is there.

        Write it above `@app.task`. The task must take no argument that has no default. A worker
        brings it into force when it starts, and takes back what the code does not say any more. The
        options are those of `Schedules.add`; the name is that of the task unless it is given. Raises
        `BadSchedule`.
        """
        return self.schedules.schedule(name, {"cron": cron, **options})

    # -- topics ---------------------------------------------------------------------------

    @overload
    def topic(
        self,
        name: str,
        type: type[T],
        *,
        keep: Duration | Retention | None = DEFAULT_AGE,
        partitions: int = 1,
        key: str | Callable[[T], str | None] | None = None,
        version: int = 1,
    ) -> Topic[T]: ...
    @overload
    def topic(
        self,
        name: str,
        type: Any = Any,
        *,
        keep: Duration | Retention | None = DEFAULT_AGE,
        partitions: int = 1,
        key: str | Callable[[Any], str | None] | None = None,
        version: int = 1,
    ) -> Topic[Any]: ...
    def topic(
        self,
        name: str,
        type: Any = Any,
        *,
        keep: Duration | Retention | None = DEFAULT_AGE,
        partitions: int = 1,
        key: str | Callable[[Any], str | None] | None = None,
        version: int = 1,
    ) -> Topic[Any]:
        """Declare a topic of events whose data are of `type`; subscribe functions to it then.

        Events are kept for seven days, or as `keep` says: for a duration, None for ever, or a
        `Retention` by age, count and bytes. `key` is the name of the field, or a function of the
        data, that says which events are handled in order. One worker at a time handles a
        partition, so `partitions` spread a subscription over workers. `version` is that of the
        schema. Raises `BadArguments`.
        """
        if isinstance(partitions, bool) or not 1 <= partitions <= MOST_PARTITIONS:
            raise BadArguments(
                f"partitions={partitions!r} cannot be", hint=f"write 1 to {MOST_PARTITIONS}"
            )
        record = TopicRecord(
            name=checked_name(name, "topic"),
            partitions=partitions,
            keep=retention_of(keep),
            kind=type_name(type),
            version=version,
        )
        topic: Topic[Any] = Topic(self.topics, record, type, key)
        self.topics.add(topic)
        return topic

    # -- working --------------------------------------------------------------------------

    def worker(
        self,
        *,
        queues: Sequence[str] | None = None,
        loop_slots: int = 100,
        thread_slots: int = 8,
        offers: Mapping[str, int] | None = None,
    ) -> EmbeddedWorker:
        """Return a worker inside this process: `async with app.worker():`, or `.run()` to block.

        For tests, notebooks and small deployments: nothing here survives a task that takes down
        its process, and what never stops cannot be killed. `ropeway worker` has neither weakness.
        """
        from ropeway.worker.embedded import EmbeddedWorker

        # A `cpu` call has no process of its own here, but it is still the only one of its kind.
        slots: dict[Kind, int] = {"loop": loop_slots, "threads": thread_slots, "cpu": 1}
        return EmbeddedWorker(self, queues=queues, slots=slots, offers=offers or {})

    def testing(
        self, *, start: datetime | None = None, concurrency: int = 1, patience: float = 30.0
    ) -> Sandbox:
        """Return a sandbox, for tests: `with app.testing() as sandbox:`.

        In the block messages are kept in memory, and run on the real engine when the test says so.
        The clock stands at `start`, or now, until the test moves it. `concurrency` calls run at
        once; a test that needs more than `patience` real seconds fails.
        """
        from ropeway.testing.sandbox import Sandbox

        return Sandbox(self, start=start, concurrency=concurrency, patience=patience)

    # -- jobs by id -----------------------------------------------------------------------

    def job(self, job_id: str) -> Job[Any]:
        """Return the handle of a job that was sent before, by its id."""
        if not isinstance(job_id, str):
            raise BadArguments(f"{job_id!r} is no job's id", hint="ids are texts: job.id")
        require(self.connection.blocking().capabilities, "store", "a job by its id")
        return Job(self, job_id, type_of=self._result_type)

    def _result_type(self, name: str) -> Any:
        task = self.tasks.get(name)
        return Any if task is None else task.definition.signature.result_type
