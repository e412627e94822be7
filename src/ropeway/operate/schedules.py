"""What a person does to schedules: each deed is on record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from ropeway.cron.timetable import Timetable
from ropeway.message import Message
from ropeway.operate.audit import Deed
from ropeway.operate.roles import Action
from ropeway.schedules import changing, looking
from ropeway.schedules.changing import Backfilled
from ropeway.schedules.record import Schedule
from ropeway.store import Backend
from ropeway.words import several

Noted = Callable[[Action, str, str], AbstractAsyncContextManager[Deed]]


class OnSchedules:
    """The verbs on schedules of an operator, who is `by`."""

    def __init__(self, store: Backend, noted: Noted, by: str) -> None:
        self._store, self._noted, self._by = store, noted, by

    async def add(self, name: str, message: Message, timetable: Timetable) -> Schedule:
        """Make a schedule; raises `Refused` if there is one of that name."""
        async with self._noted("schedules.add", name, ""):
            return await changing.add(self._store, name, message, timetable, self._by)

    async def edit(self, name: str, given: Mapping[str, Any], message: Message | None) -> Schedule:
        """Change what is given of a schedule; it goes on from now."""
        async with self._noted("schedules.edit", name, ""):
            return await changing.edit(self._store, name, given, message)

    async def pause(self, name: str, why: str = "") -> Schedule:
        """Have a schedule fire nothing until it is resumed."""
        async with self._noted("schedules.pause", name, why):
            return await changing.pause(self._store, name, by=self._by, why=why)

    async def resume(self, name: str) -> Schedule:
        """Have a schedule go on from now."""
        async with self._noted("schedules.resume", name, ""):
            return await changing.resume(self._store, name)

    async def run_now(self, name: str) -> str:
        """Send the call of a schedule now; returns the id of the job."""
        async with self._noted("schedules.run_now", name, "") as deed:
            deed.told = job_id = await changing.run_now(self._store, name)
        return job_id

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a schedule; one that code declares only by force."""
        async with self._noted("schedules.remove", name, ""):
            await changing.remove(self._store, name, force=force)

    async def clear(self, names: Sequence[str]) -> int:
        """Remove what has finished of schedules; returns how many instants."""
        async with self._noted("schedules.clear", ", ".join(names[:3]), "") as deed:
            removed = sum([await looking.clear(self._store, each) for each in names])
            deed.told = several(removed, "instant")
        return removed

    async def backfill(self, name: str, since: float, until: float, *, limit: int) -> Backfilled:
        """Send the calls of past instants that have no job."""
        async with self._noted("schedules.backfill", name, "") as deed:
            found = await changing.backfill(
                self._store, name, since, until, limit=limit, dry_run=False
            )
            deed.told = several(len(found.jobs))
        return found
