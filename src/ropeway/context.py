"""What a running task can know of itself."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from ropeway.errors import RopewayError, Unsupported, WaitRefused
from ropeway.graph import Place
from ropeway.message import DEFAULT_QUEUE, Fence
from ropeway.progress import Progress, checked


class Waits:
    """The slots of one kind in one process, and whose calls wait there for other jobs.

    Never all of them: a slot is left to run what the others wait for.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._waiting: Counter[Fence] = Counter()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def waiting(self, fence: Fence, job_id: str) -> Iterator[None]:
        """Count the call as waiting; raises `WaitRefused` if the last slot would wait too."""
        with self._lock:
            others = len(self._waiting) - (fence in self._waiting)
            if others + 1 >= self._slots:
                raise WaitRefused(
                    f"a task may not wait for job {job_id}: {others} of the {self._slots} slots "
                    "of its kind wait already, and one must be left to run what they wait for",
                    hint="give the worker more slots, or send what comes next from the end of "
                    "the other task",
                )
            self._waiting[fence] += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting[fence] -= 1
                if not self._waiting[fence]:
                    del self._waiting[fence]


class Transacting(Protocol):
    """A transaction as a block, `with` in a plain function and `async with` in a coroutine."""

    def __enter__(self) -> Any: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    async def __aenter__(self) -> Any: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Running(Struct, frozen=True, kw_only=True):
    """The job that runs in this context. `deadline` is in seconds since the Unix epoch."""

    fence: Fence
    task: str
    queue: str = DEFAULT_QUEUE
    report: Callable[[Progress], None] | None = None
    waits: Waits | None = None
    key: str | None = None
    tags: tuple[str, ...] = ()
    headers: Mapping[str, str] = {}
    trace: str | None = None
    deadline: float | None = None
    transact: Callable[[], Transacting] | None = None
    exchange: str = ""
    routing_key: str = ""
    node: Place | None = None

    def until(self, timeout: float | None) -> Running:
        """Return the same for a run that starts now and may take so long."""
        return self if timeout is None else replace(self, deadline=time.time() + timeout)


running: ContextVar[Running] = ContextVar("ropeway_running")


def waiting_for(job_id: str) -> contextlib.AbstractContextManager[None]:
    """Say that whoever calls is going to wait for a job; raises `WaitRefused` from a last slot."""
    found = running.get(None)
    if found is None or found.waits is None:
        return contextlib.nullcontext()
    return found.waits.waiting(found.fence, job_id)


class Current:
    """The job that the calling code runs in; outside of a task every field raises."""

    @property
    def job_id(self) -> str:
        """The job's id: the same over all its attempts, so a good idempotency key."""
        return self._running().fence.id

    @property
    def task(self) -> str:
        """The task's name."""
        return self._running().task

    @property
    def attempt(self) -> int:
        """Grows with every hand-over of the job: a fencing token for what the task writes.

        After a power cut the number of an attempt that was cut off may come again.
        """
        return self._running().fence.attempt

    @property
    def queue(self) -> str:
        """The queue that it came from."""
        return self._running().queue

    @property
    def exchange(self) -> str:
        """The exchange that it was published to; empty if it was sent to its queue."""
        return self._running().exchange

    @property
    def routing_key(self) -> str:
        """The routing key that it was published with."""
        return self._running().routing_key

    @property
    def run_id(self) -> str | None:
        """The run of a workflow that it is a node of, or None."""
        found = self._running()
        return None if found.node is None else found.headers.get("run", found.node.run)

    @property
    def node(self) -> str | None:
        """Its name in that workflow, `resize[3]` for an item of a map, or None."""
        node = self._running().node
        return None if node is None else node.path

    @property
    def key(self) -> str | None:
        """What `using(key=...)` said, or None."""
        return self._running().key

    @property
    def tags(self) -> tuple[str, ...]:
        """Its labels."""
        return self._running().tags

    @property
    def headers(self) -> Mapping[str, str]:
        """What came beside its arguments."""
        return self._running().headers

    @property
    def trace(self) -> str | None:
        """The `traceparent` that it was sent with; what it sends has the same."""
        return self._running().trace

    def progress(self, done: float, *, of: float | None = None, note: str = "") -> None:
        """Say how far it is: for whoever watches the job. Costs little, however often it is said.

        The latest report is written a few times a second at most, and the last one with the end of
        the run. Raises `BadArguments` for what is no number.
        """
        found = self._running()
        said = checked(done, of, note, found.fence.attempt)
        if found.report is not None:
            found.report(said)

    def transaction(self) -> Transacting:
        """Open a transaction that the job is settled with: what the task writes is done once.

        `with current.transaction() as connection:` gives a plain function a connection of psycopg
        to the database of the jobs, and `async with` a coroutine function one of asyncpg. When the
        task returns, what it wrote is committed in one step with its result and the end of the job,
        unless another attempt has taken it over; when it raises, all is undone. Raises
        `Unsupported` for other backends than PostgreSQL.
        """
        found = self._running()
        if found.transact is None:
            raise Unsupported(
                f"{found.task} cannot settle with a transaction of its own here",
                hint='use postgresql:// for the jobs, without a broker beside it and ack="early"',
            )
        return found.transact()

    @property
    def deadline(self) -> float | None:
        """When the task's `timeout` ends, in seconds since the Unix epoch, or None."""
        return self._running().deadline

    @staticmethod
    def _running() -> Running:
        found = running.get(None)
        if found is None:
            raise RopewayError(
                "no task is running here", hint="`current` has values inside a task only"
            )
        return found


current = Current()
