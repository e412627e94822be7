"""The contract of a backend that holds records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from ropeway.broker import Broker
from ropeway.capabilities import Capabilities
from ropeway.decide import Keep
from ropeway.message import JobRecord
from ropeway.states import State
from ropeway.transition import Answer, Entry, Record, Transition


class Store(Protocol):
    """Holds records by key, each with a version that grows with every write."""

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do."""
        ...

    async def open(self) -> None:
        """Connect, and create or upgrade what is missing. May be called again."""
        ...

    async def close(self) -> None:
        """Give up every resource. May be called again."""
        ...

    async def now(self) -> float:
        """The backend's clock."""
        ...

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        """The same verb as `Broker.commit`: one call where one backend plays both roles."""
        ...

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Return the record of each key, or None, in the order asked.

        A key made by `job_key` answers with that job's `JobRecord`, encoded as msgpack.
        """
        ...

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        """Return the records whose keys begin with `prefix` and come after `after`, by key.

        Keys are in the order of their UTF-8 bytes. Jobs are not among them.
        """
        ...

    async def read(self, log: str, after: int = 0, limit: int = 100) -> list[Entry]:
        """Return the entries of a log after an offset, in the order they were committed.

        An entry that is not there yet never appears before one that has been read.
        """
        ...

    async def prune(self, keep: Keep, limit: int) -> int:
        """End what waits past its `expires`, and remove what need not be kept.

        That is: settled jobs whose own time is over, and in each final state those older than the
        `keep.newest`; records past their `ttl`; joins, with their members. At most `limit` of all
        these are changed, in steps so small that others get their turn; returns how many.
        """
        ...

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        """Return the names that may have changed, or nothing after `timeout` seconds.

        A hint: it may be late or false, and nothing may depend on it. The first wait for a name
        reports it at once and remembers it; later ones report what changed since the last. So
        `wait`, then `get`, in a loop, misses nothing. Names: the keys of records, those of
        `job_key`, `queue_name`, `log_name` and `holder_name`.
        """
        ...


class Filter(Struct, frozen=True, kw_only=True):
    """Which jobs to list; None leaves a field open."""

    state: State | None = None
    task: str | None = None
    queue: str | None = None
    id_prefix: str | None = None


class Search(Protocol):
    """A capability, for people: finding jobs without knowing their ids."""

    async def search(
        self, which: Filter, before: str | None = None, limit: int = 50
    ) -> list[JobRecord]:
        """List jobs, newest first, at most `limit`, those sent before the job `before`."""
        ...


class Backend(Broker, Store, Search, Protocol):
    """A backend that plays both roles, with one `commit` for the two.

    One without the capability `search` raises `Unsupported` from it.
    """


def queue_name(queue: str) -> str:
    """Return the name to wait for to hear of new messages in `queue`."""
    return "queue/" + queue


def log_name(log: str) -> str:
    """Return the name to wait for to hear of new entries in `log`."""
    return "log/" + log


def holder_name(holder: str) -> str:
    """Return the name to wait for to hear that something `holder` runs is to be cancelled."""
    return "holder/" + holder
