"""What a driver does with a library, whichever it is."""

from __future__ import annotations

from typing import Any, Protocol

TASK = "BENCH_TASK"
"""The environment variable that names the task to use: `add`, `add_async`, `nap` and so on."""

URL = "BENCH_URL"
"""The environment variable that says where jobs are kept: `sqlite:///FILE`, or a server's URL."""

STORE = "BENCH_STORE"
"""The environment variable that says where a broker's results are kept; empty where it is the same."""

RESULTS = "BENCH_RESULTS"
"""The environment variable that, with 1, has results stored by those who can do without."""

HUEY_FSYNC = "BENCH_HUEY_FSYNC"
"""The environment variable that sets huey's `fsync` (1 or 0); without it huey's default applies."""

POTATOQ_DURABLE = "BENCH_POTATOQ_DURABLE"
"""The environment variable that, with 1, has potatoq's broker opened with `durable`."""

TASKIQ_STREAM = "BENCH_TASKIQ_STREAM"
"""The environment variable that, with 1, has Taskiq use a stream, and not a list."""

DRAMATIQ_CONFIRMED = "BENCH_DRAMATIQ_CONFIRMED"
"""The environment variable that, with 1, has Dramatiq wait until RabbitMQ confirms what it is sent."""

CELERY_LATE = "BENCH_CELERY_LATE"
"""The environment variable that, with 1, has Celery acknowledge tasks after their run."""

NAP = 0.02
"""Seconds for which the task `nap` waits, as if for an answer of another machine."""

IDLE_DELAY = 3600.0
"""Seconds until the job is due that nobody will see run."""


def database(url: str) -> str:
    """The file of a URL of SQLite."""
    return url.removeprefix("sqlite:///")


class Verbs(Protocol):
    """A module of this package. Jobs are named by their ids, so that any process can ask."""

    def send(self, number: int) -> str:
        """Ask for `add(number, number)`."""
        ...

    async def asend(self, number: int) -> None:
        """The same from a coroutine, so that others of its loop go on meanwhile."""
        ...

    def send_many(self, count: int) -> list[str]:
        """Ask for `add(i, i)` for each i below `count`, in the quickest way there is."""
        ...

    def result(self, job: str, timeout: float) -> int:
        """Wait for a result."""
        ...

    def round_trip(self, number: int) -> int:
        """Send and wait for the result."""
        ...

    async def around_trip(self, number: int) -> int:
        """The same with the library's verbs for async code."""
        ...

    def overtake(self, number: int) -> int:
        """A round trip past whatever is queued: by another queue, or by a priority."""
        ...

    def wait_in_vain(self, seconds: float) -> None:
        """Send what is due much later, and wait for its result that long."""
        ...

    def facts(self) -> dict[str, Any]:
        """Versions, and how the database is written."""
        ...
