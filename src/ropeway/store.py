"""The contract of a backend that holds records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from ropeway.broker import Broker
from ropeway.capabilities import Capabilities
from ropeway.decide import Keep
from ropeway.ids import first_id
from ropeway.message import Failure, JobRecord
from ropeway.states import State
from ropeway.transition import Answer, Entry, Record, Transition

_LAST = "\U0010ffff"
"""Sorts after every other character."""


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

        An entry that is not there yet never appears before one that has been read. Below zero,
        `after` counts from the end: -1 is the last entry, and -10 begins with the last ten.
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
        `job_key`, `queue_name`, `log_name` and `holder_name`. One of a job may be `Told`.
        """
        ...


class Ending(Struct, frozen=True, kw_only=True):
    """How a job ended, as of a version of its record: what its result is made of."""

    version: int
    task: str
    state: State
    value: bytes | None = None
    error: Failure | None = None


class Told(str):
    """The name of a job that has ended, as `wait` returns it where the hint tells of the end.

    Nothing depends on that either: who is told a plain name looks.
    """

    __slots__ = ("ending",)

    ending: Ending

    @classmethod
    def of(cls, name: str, ending: Ending) -> Told:
        """Return a name that tells of an ending."""
        told = cls(name)
        told.ending = ending
        return told


class Filter(Struct, frozen=True, kw_only=True):
    """Which jobs to list; None leaves a field open.

    `since` and `until` are instants, from and before which a job was made: that is in its id.
    `error` is the fingerprint of the error that it ended with.
    """

    state: State | None = None
    task: str | None = None
    queue: str | None = None
    id_prefix: str | None = None
    since: float | None = None
    until: float | None = None
    error: str | None = None


class Found(Struct, frozen=True, kw_only=True):
    """A page of jobs, newest first, and how far it was looked for more.

    `older` is what to give as `before` for what is older; None if there is nothing. Fewer jobs
    than asked for and an `older` mean that looking was stopped, after `examined` of about `total`.
    """

    jobs: list[JobRecord]
    older: str | None = None
    examined: int = 0
    total: int = 0


class Count(Struct, frozen=True, kw_only=True):
    """How many jobs there are; not `whole`: at least so many."""

    number: int
    whole: bool = True


class Cause(Struct, frozen=True, kw_only=True):
    """Jobs of one state that ended for the same cause: the newest of them, and how many.

    Not `whole`: at least so many.
    """

    newest: JobRecord
    number: int
    oldest_id: str
    whole: bool = True


class Causes(Struct, frozen=True, kw_only=True):
    """What jobs ended for, the largest groups first; not `whole`: there are more."""

    found: list[Cause]
    whole: bool = True


class Search(Protocol):
    """A capability, for people: finding jobs without knowing their ids.

    No look takes long, however many jobs are kept: one that would is stopped, and says so.
    """

    async def search(self, which: Filter, before: str | None = None, limit: int = 50) -> Found:
        """List jobs, newest first, at most `limit`, those sent before the job `before`."""
        ...

    async def count(self, which: Filter, cap: int = 100_000) -> Count:
        """Count jobs, at most up to `cap`."""
        ...

    async def causes(self, which: Filter, limit: int = 50) -> Causes:
        """Group settled jobs that did not succeed by their state and their error's fingerprint."""
        ...


class Backend(Broker, Store, Search, Protocol):
    """A backend that plays both roles, with one `commit` for the two.

    One without the capability `search` raises `Unsupported` from it.
    """


WORKERS = "worker/"
"""Records of the workers that live, each under its holder; one ends soon after its worker."""


def queue_name(queue: str) -> str:
    """Return the name to wait for to hear of new messages in `queue`."""
    return "queue/" + queue


def log_name(log: str) -> str:
    """Return the name to wait for to hear of new entries in `log`."""
    return "log/" + log


def holder_name(holder: str) -> str:
    """Return the name to wait for to hear that something `holder` runs is to be cancelled."""
    return "holder/" + holder


def id_range(which: Filter, before: str | None) -> tuple[str, str]:
    """Return between which ids a job must be: from the first, and before the second."""
    low, high = which.id_prefix or "", (which.id_prefix or "") + _LAST
    if which.since is not None:
        low = max(low, first_id(which.since))
    if which.until is not None:
        high = min(high, first_id(which.until))
    return low, high if before is None else min(before, high)
