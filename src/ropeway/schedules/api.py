"""`app.schedules`: what the code of an app declares, and the verbs to look at schedules and change them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol, TypeVar, Unpack

from ropeway.calls import Call
from ropeway.errors import BadArguments, BadSchedule, MessageTooLarge
from ropeway.message import Message
from ropeway.results import Job
from ropeway.schedules import changing, looking
from ropeway.schedules.changing import MOST_BACKFILLED, Backfilled
from ropeway.schedules.declaring import Declared, bring_into_force
from ropeway.schedules.looking import Kept, Upcoming
from ropeway.schedules.options import Rest, Timed, timetable_of
from ropeway.schedules.record import Schedule
from ropeway.source import Stores
from ropeway.stepping import step
from ropeway.who import who


class Schedulable(Protocol):
    """A task that can be called without arguments."""

    @property
    def name(self) -> str:
        """The name under which messages ask for it."""
        ...

    def call(self) -> Call[Any]:
        """Make a call without arguments."""
        ...


T = TypeVar("T", bound=Schedulable)


class Schedules:
    """The schedules of an app: those that its code declares, and all that are there."""

    def __init__(self, app: Stores) -> None:
        self._app = app
        self._declared: dict[str, Declared] = {}

    @property
    def declared(self) -> list[Declared]:
        """What the code declares; a worker brings it into force when it starts."""
        return list(self._declared.values())

    def schedule(self, name: str | None, options: Timed) -> Callable[[T], T]:
        """Return the decorator that `app.schedule` is; the options are looked at here."""
        table = timetable_of(dict(options))

        def decorate(task: T) -> T:
            call = _call_of(task)
            _refuse_large(call.message, self._app)
            chosen = changing.named(name or task.name)
            declared = Declared(
                name=chosen,
                timetable=table,
                message=changing.usable(call.message, chosen),
            )
            if chosen in self._declared:
                raise BadSchedule(
                    f"two schedules are called {chosen!r}", hint="give one of them another name="
                )
            self._declared[chosen] = declared
            return task

        return decorate

    def declare(self, origin: str = "code") -> list[str]:
        """Bring what the code declares into force now, as a worker does when it starts.

        What code of the same `origin` declared before and does not now is removed. Returns the
        names of what has changed.
        """
        return step(self.adeclare(origin))

    async def adeclare(self, origin: str = "code") -> list[str]:
        """The same as `declare`, for async code."""
        return await bring_into_force(self._app.store, self.declared, origin)

    # -- changes --------------------------------------------------------------------------

    def add(
        self, name: str, call: Call[Any], cron: str | None = None, **options: Unpack[Rest]
    ) -> Schedule:
        """Have a call be sent by a timetable, from now on, until it is removed.

        When: a `cron` expression in `timezone` (with a field of `seconds`), `every` so often,
        counted from `start` or else from 1970, or `at` a date or dates; from `start` to `end`, at
        most `max_runs` times, each later by its share of `jitter`. An instant that is `grace` (30
        s) late is missed: `missed` says whether the last one is made up for (`"fire_once"`), none
        (`"skip"`), or the last `missed_limit` (`"fire_all"`). `overlap` says what happens while the
        job before has not ended: `"allow"`, `"skip"`, `"queue_one"` or `"cancel_running"`.
        `history` is how long it is remembered what became of each instant. Raises `BadSchedule`,
        and `Refused` if there is one of that name.
        """
        return step(self.aadd(name, call, cron, **options))

    async def aadd(
        self, name: str, call: Call[Any], cron: str | None = None, **options: Unpack[Rest]
    ) -> Schedule:
        """The same as `add`, for async code."""
        message = _message_of(call, self._app)
        table = timetable_of({"cron": cron, **options})
        return await changing.add(self._app.store, name, message, table, who())

    def edit(
        self,
        name: str,
        call: Call[Any] | None = None,
        cron: str | None = None,
        **options: Unpack[Rest],
    ) -> Schedule:
        """Change what is named and leave the rest; it goes on from now, and nothing fires at once.

        Of one that the code declares, the change holds until the code says otherwise than it did.
        """
        return step(self.aedit(name, call, cron, **options))

    async def aedit(
        self,
        name: str,
        call: Call[Any] | None = None,
        cron: str | None = None,
        **options: Unpack[Rest],
    ) -> Schedule:
        """The same as `edit`, for async code."""
        message = None if call is None else _message_of(call, self._app)
        given = {"cron": cron, **options}
        return await changing.edit(self._app.store, name, given, message)

    def pause(self, name: str, *, why: str = "") -> Schedule:
        """Have it fire nothing until `resume`, whatever is deployed. Others are shown `why`."""
        return step(self.apause(name, why=why))

    async def apause(self, name: str, *, why: str = "") -> Schedule:
        """The same as `pause`, for async code."""
        return await changing.pause(self._app.store, name, by=who(), why=why)

    def resume(self, name: str) -> Schedule:
        """Have it go on from now; what was due meanwhile is not made up for."""
        return step(self.aresume(name))

    async def aresume(self, name: str) -> Schedule:
        """The same as `resume`, for async code."""
        return await changing.resume(self._app.store, name)

    def remove(self, name: str, *, force: bool = False) -> None:
        """Remove it; its jobs stay. One that code declares is refused, unless with `force`."""
        step(self.aremove(name, force=force))

    async def aremove(self, name: str, *, force: bool = False) -> None:
        """The same as `remove`, for async code."""
        await changing.remove(self._app.store, name, force=force)

    # -- by hand --------------------------------------------------------------------------

    def run_now(self, name: str) -> Job[Any]:
        """Send its call now, also while it is paused; the timetable goes on as it was."""
        return step(self.arun_now(name))

    async def arun_now(self, name: str) -> Job[Any]:
        """The same as `run_now`, for async code."""
        return Job(self._app, await changing.run_now(self._app.store, name))

    def backfill(
        self,
        name: str,
        since: datetime,
        until: datetime,
        *,
        limit: int = MOST_BACKFILLED,
        dry_run: bool = False,
    ) -> Backfilled:
        """Send the calls of past instants that have no job yet, of at most `limit` instants.

        With `dry_run` it only says which.
        """
        return step(self.abackfill(name, since, until, limit=limit, dry_run=dry_run))

    async def abackfill(
        self,
        name: str,
        since: datetime,
        until: datetime,
        *,
        limit: int = MOST_BACKFILLED,
        dry_run: bool = False,
    ) -> Backfilled:
        """The same as `backfill`, for async code."""
        for each in (since, until):
            if not isinstance(each, datetime) or each.tzinfo is None:
                raise BadArguments(f"{each!r} is no date with a time zone")
        begin, end = since.timestamp(), until.timestamp()
        return await changing.backfill(
            self._app.store, name, begin, end, limit=limit, dry_run=dry_run
        )

    def clear(self, name: str | None = None) -> int:
        """Remove what has finished: instants of the past with their ended jobs, and schedules.

        What waits or runs stays. Returns how many instants; without a name of all schedules.
        """
        return step(self.aclear(name))

    async def aclear(self, name: str | None = None) -> int:
        """The same as `clear`, for async code."""
        names = [name] if name else [each.name for each in await self.als()]
        return sum([await looking.clear(self._app.store, each) for each in names])

    # -- looking --------------------------------------------------------------------------

    def get(self, name: str) -> Schedule:
        """Return a schedule; raises `ScheduleNotFound`."""
        return step(self.aget(name))

    async def aget(self, name: str) -> Schedule:
        """The same as `get`, for async code."""
        return await changing.find(self._app.store, name)

    def ls(self) -> list[Schedule]:
        """List all schedules, by name."""
        return step(self.als())

    async def als(self) -> list[Schedule]:
        """The same as `ls`, for async code."""
        return await changing.all_schedules(self._app.store)

    def next(self, name: str, number: int = 10) -> list[Upcoming]:
        """Return when it fires next, with a note where clocks are changed."""
        return step(self.anext(name, number))

    async def anext(self, name: str, number: int = 10) -> list[Upcoming]:
        """The same as `next`, for async code."""
        return looking.upcoming(await self.aget(name), number)

    def history(self, name: str, last: int = 50) -> list[Kept]:
        """Return what became of the last instants, the newest first."""
        return step(self.ahistory(name, last))

    async def ahistory(self, name: str, last: int = 50) -> list[Kept]:
        """The same as `history`, for async code."""
        return await looking.history(self._app.store, changing.named(name), last)


def _call_of(task: Any) -> Call[Any]:
    """Return the call of a task without arguments, or raise `BadSchedule`."""
    made, name = getattr(task, "call", None), getattr(task, "name", None)
    if not callable(made) or not isinstance(name, str):
        raise BadSchedule(
            f"{getattr(task, '__qualname__', task)!r} is no task yet",
            hint="write @app.schedule(...) above @app.task",
        )
    try:
        call: Call[Any] = made()
    except BadArguments as error:
        raise BadSchedule(
            f"{name} cannot be scheduled, for nobody gives it arguments: {error.fact}",
            hint='give them defaults, or write app.schedules.add("name", task.call(...), ...)',
        ) from None
    return call


def _message_of(call: Any, app: Stores) -> Message:
    if not isinstance(call, Call):
        raise BadArguments(f"{call!r:.200} is no call of a task", hint="write task.call(...)")
    if call.unique is not None or call.connection is not None:
        raise BadSchedule(
            "a call with unique= or connection= cannot be repeated",
            hint="overlap= says what happens while a job before is there",
        )
    _refuse_large(call.message, app)
    return call.message


def _refuse_large(message: Message, app: Stores) -> None:
    size, most = len(message.body), app.settings.max_message
    if size > most:
        raise MessageTooLarge(
            f"the arguments of {message.task} take {size:,} bytes, more than max_message={most:,}, "
            "and a schedule sends them again and again",
            hint="store the data elsewhere and pass a reference (a path, a key)",
        )
