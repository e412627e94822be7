"""What failed for good, by cause, and what to do about it: for a program, or a person at a prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypedDict, TypeVar, Unpack

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from ropeway.blobs import load, loaded
from ropeway.bulk import Done, Plan, change, removing, retrying, select
from ropeway.config import Settings, per_second, seconds
from ropeway.editing import Edit, correct, edited
from ropeway.errors import BadArguments, ConfigError
from ropeway.jobs import see
from ropeway.message import JobRecord
from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import Backend, Cause, Filter, Found
from ropeway.task import Task

Instant = datetime | timedelta | float | str
"""A date with a time zone, or how long ago: seconds, a timedelta or a text such as "2h"."""


T = TypeVar("T")


class Which(TypedDict, total=False):
    """What the jobs have in common that are meant; `error` is a fingerprint."""

    task: str | None
    queue: str | None
    error: str | None
    since: Instant | None
    until: Instant | None


class Changes(TypedDict, total=False):
    """What to change of a job: see `ropeway.editing.Edit`."""

    arguments: dict[str, Any]
    body: bytes
    task: str
    queue: str
    priority: int
    headers: dict[str, str]


class Chosen(Which, total=False):
    """Which of many jobs to change, and whether only to say how many that are."""

    limit: int | None
    everything: bool
    dry_run: bool


class Retried(Chosen, total=False):
    """The same, and how many of them are to run in a second."""

    rate: float | str | None


class Source(Protocol):
    """What the quarantine needs of an app."""

    @property
    def store(self) -> Backend: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def tasks(self) -> Mapping[str, Task[..., Any]]: ...


class Quarantine:
    """The jobs that ended in quarantine, or in another `state` that is not success.

    Each verb has a twin for async code, with an `a` in front.
    """

    def __init__(self, app: Source, state: State = State.QUARANTINED) -> None:
        if not state.final:
            raise BadArguments(f"a job that is {state} has not ended")
        self._app = app
        self._state = state

    def __repr__(self) -> str:
        return f"<Quarantine of jobs that are {self._state}>"

    def of(self, state: State) -> Quarantine:
        """Return the same for jobs that ended as `failed`, `cancelled` or `expired`."""
        return Quarantine(self._app, State(state))

    def ls(self, *, before: str | None = None, limit: int = 50, **which: Unpack[Which]) -> Found:
        """List them, newest first; see `als`."""
        return step(self.als(before=before, limit=limit, **which))

    async def als(
        self, *, before: str | None = None, limit: int = 50, **which: Unpack[Which]
    ) -> Found:
        """List them, newest first; the page's `older` is the `before` of the next one.

        `which` narrows it: `task`, `queue`, `error` (a fingerprint), `since` and `until` (a date,
        or how long ago).
        """
        return await self._app.store.search(self._filter(which), before, limit)

    def groups(self, *, limit: int = 50, **which: Unpack[Which]) -> list[Cause]:
        """Group them by cause, the largest groups first; `which` is that of `als`."""
        return step(self.agroups(limit=limit, **which))

    async def agroups(self, *, limit: int = 50, **which: Unpack[Which]) -> list[Cause]:
        """Group them by cause, the largest groups first; `which` is that of `als`."""
        return (await self._app.store.causes(self._filter(which), limit)).found

    def show(self, job_id: str) -> JobRecord:
        """Return all that is kept of a job, its message byte for byte; raises `JobNotFound`."""
        return step(self.ashow(job_id))

    async def ashow(self, job_id: str) -> JobRecord:
        """Return all that is kept of a job, its message byte for byte; raises `JobNotFound`."""
        record = (await see(self._app.store, job_id)).record
        return replace(record, message=await loaded(self._app.store, record.message))

    def edit(self, job_id: str, **changes: Unpack[Changes]) -> None:
        """Put a job right and have it run again; see `aedit`."""
        step(self.aedit(job_id, **changes))

    async def aedit(self, job_id: str, **changes: Unpack[Changes]) -> None:
        """Put a job right and have it run again, in one step.

        `changes` are `arguments` (all of them, by name) or `body` (bytes), `task`, `queue`,
        `priority` and `headers`. New arguments are checked if the task is one of this app. Raises
        `BadArguments`, `JobNotFound`, and `Refused` if the job has changed meanwhile.
        """
        try:
            edit = msgspec.convert(dict(changes), Edit, builtin_types=(bytes,))
        except msgspec.ValidationError as error:
            raise BadArguments(f"the job cannot be changed so: {error}") from None
        job = await see(self._app.store, job_id)
        message = edited(job.record.message, edit)
        task = self._app.tasks.get(message.task)
        if task is not None and edit.body is UNSET:
            body = await load(self._app.store, message.id, message.body)
            task.definition.signature.decode(body, message.content_type)
        await correct(self._app.store, job, edit, self._app.settings)

    def retry(self, *job_ids: str, **options: Unpack[Retried]) -> Done:
        """Have jobs run again; see `aretry`."""
        return step(self.aretry(*job_ids, **options))

    async def aretry(self, *job_ids: str, **options: Unpack[Retried]) -> Done:
        """Have jobs run again: those named, those that `task`, `queue` and so on say, or `everything`.

        With a `rate`, such as `"10/s"`, they are spread out, the oldest first. `limit` takes the
        newest so many. `dry_run` changes nothing, and tells how many it would have been.
        """
        rate = options.pop("rate", None)
        a_second = None if rate is None else _checked(per_second, rate)
        now = await self._app.store.now()
        plan = retrying(frozenset({self._state}), now=now, rate=a_second)
        return await self._change(plan, job_ids, options)

    def remove(self, *job_ids: str, **options: Unpack[Chosen]) -> Done:
        """Forget jobs for good; see `aremove`."""
        return step(self.aremove(*job_ids, **options))

    async def aremove(self, *job_ids: str, **options: Unpack[Chosen]) -> Done:
        """Forget jobs for good; which, `limit` and `dry_run` are as for `aretry`."""
        return await self._change(removing(frozenset({self._state})), job_ids, options)

    async def _change(self, plan: Plan, job_ids: Sequence[str], options: Mapping[str, Any]) -> Done:
        which = {name: value for name, value in options.items() if value is not None}
        limit, dry_run = which.pop("limit", None), which.pop("dry_run", False)
        everything = which.pop("everything", False)
        if sum(map(bool, (job_ids, which, everything))) != 1:
            raise BadArguments(
                "it is not clear which jobs are meant",
                hint="give ids, or what they have in common, or everything=True",
            )
        ids: Sequence[str] = list(dict.fromkeys(job_ids))[:limit]
        if not ids:
            ids = await select(self._app.store, self._filter(which), limit)
        return await change(self._app.store, ids, plan, dry_run=dry_run)

    def _filter(self, which: Mapping[str, Any]) -> Filter:
        given = {name: value for name, value in which.items() if value is not None}
        if unknown := sorted(given.keys() - Which.__annotations__):
            raise BadArguments(
                f"jobs cannot be chosen by {unknown[0]!r}",
                hint=f"choose by {', '.join(Which.__annotations__)}",
            )
        for name in given.keys() & {"since", "until"}:
            given[name] = _instant(given[name])
        return Filter(**given, state=self._state)


def _checked(read: Callable[[Any], T], value: object) -> T:
    try:
        return read(value)
    except ConfigError as error:
        raise BadArguments(error.fact, hint=error.hint) from None


def _instant(value: Instant) -> float:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise BadArguments(
                f"{value.isoformat()} has no time zone", hint="write datetime(..., tzinfo=UTC)"
            )
        return value.timestamp()
    ago = value.total_seconds() if isinstance(value, timedelta) else _checked(seconds, value)
    return datetime.now(UTC).timestamp() - ago
