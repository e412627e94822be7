"""Finding jobs for people: by an index, or among all of them as far as a moment goes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec import Struct

from ropeway.backends.redis.script import Script, load
from ropeway.envelope import NUMBERS, STATES
from ropeway.message import JobRecord
from ropeway.states import State
from ropeway.store import Cause, Causes, Count, Filter, Found, id_range

MOMENT = 0.05
"""Seconds after which a look that has to examine job by job is stopped."""

STEP = 1_000
"""Jobs that are examined in one call: the server does nothing else meanwhile."""

FEW = 2_000
"""If no more wait or run, all of them are looked at, rather than all jobs searched for them."""

MOST_COUNTED = 10_000
"""Up to which number jobs are counted one by one."""

_MOST_CAUSES = 200

_SEARCH, _GATHER, _COUNT, _CAUSES = (
    load(name, writes=False) for name in ("search", "gather", "count", "causes")
)
_UNSUCCESSFUL = [state for state in State if state.final and state is not State.SUCCEEDED]

Run = Callable[[Script, Sequence[Any]], Awaitable[Any]]
GetJobs = Callable[[Sequence[str]], Awaitable[list[JobRecord]]]


class _Ids(Struct, frozen=True):
    """What was found, newest first; older than `cut` nothing has been `examined`."""

    ids: list[str]
    cut: str | None = None
    examined: int = 0


class _Way(Struct, frozen=True):
    """Where ids are looked for: all, those of a state that is no success, or those of a cause."""

    where: str = "ids"
    state: State | None = None
    cause: str = ""

    @property
    def args(self) -> list[Any]:
        """Say it as the scripts have it."""
        return [self.where, NUMBERS[self.state] if self.state else "", self.cause]


class Looks:
    """The verbs of `Search`; `run` runs a script, and `jobs` gets the jobs of ids."""

    def __init__(self, run: Run, jobs: GetJobs) -> None:
        self._run, self._jobs = run, jobs

    async def search(self, which: Filter, before: str | None, limit: int) -> Found:
        """List jobs, newest first."""
        found = await self._find(which, before, limit + 1)
        ids = found.ids[:limit]
        total = await self._count_all("", _LAST)
        return Found(
            # Others go on meanwhile: what has been removed since is not shown.
            jobs=await self._jobs(ids),
            older=ids[-1] if ids and len(found.ids) > limit else found.cut,
            examined=total if found.cut is None else found.examined,
            total=total,
        )

    async def count(self, which: Filter, cap: int) -> Count:
        """Count jobs, at most up to `cap`."""
        if which.state is which.task is which.queue is which.error is None:
            number = await self._count_all(*id_range(which, None))
            return Count(number=min(cap, number), whole=number <= cap)
        found = await self._find(which, None, cap + 1)
        whole = found.cut is None and len(found.ids) <= cap
        return Count(number=min(cap, len(found.ids)), whole=whole)

    async def causes(self, which: Filter, limit: int) -> Causes:
        """Group what did not succeed by state and cause."""
        states = [each for each in _UNSUCCESSFUL if which.state in {None, each}]
        low, high = id_range(which, None)
        args = [_MOST_CAUSES, low, high, *(NUMBERS[each] for each in states)]
        known, whole = await self._run(_CAUSES, args)
        groups = [await self._group(which, each) for each in known]
        found = [each for each in groups if each is not None]
        found.sort(key=lambda each: -each.number)
        return Causes(found=found[:limit], whole=bool(whole) and len(found) <= limit)

    async def _group(self, which: Filter, known: Sequence[Any]) -> Cause | None:
        state, cause, number = STATES[known[0]], known[1].decode(), known[2]
        newest, oldest, whole = known[3].decode(), known[4].decode(), True
        if which.error not in {None, cause}:
            return None
        if which.task is not None or which.queue is not None:
            low, high = id_range(which, None)
            way = _Way("c", state, cause)
            walked = await self._walk(way, which, low, high, MOST_COUNTED, MOMENT)
            if not walked.ids:
                return None
            newest, oldest, number = walked.ids[0], walked.ids[-1], len(walked.ids)
            whole = walked.cut is None
        jobs = await self._jobs([newest])
        if not jobs:
            return None
        return Cause(newest=jobs[0], number=number, oldest_id=oldest, whole=whole)

    async def _count_all(self, low: str, high: str) -> int:
        return int(await self._run(_COUNT, [*_Way().args, low, high]))

    async def _find(self, which: Filter, before: str | None, limit: int) -> _Ids:
        """Find at most `limit` ids, newest first."""
        low, high = id_range(which, before)
        if which.state in {State.QUEUED, State.RUNNING} and which.error is None:
            few = await self._gather(which)
            if few is not None:
                ids = sorted((each for each in few if low <= each < high), reverse=True)
                return _Ids(ids[:limit])
        ways = _ways(which)
        moment = MOMENT / max(1, len(ways))
        parts = [await self._walk(way, which, low, high, limit, moment) for way in ways]
        cuts = [part.cut for part in parts if part.cut is not None]
        # Where one way was cut the others have gone further: that is for the next page.
        cut = max(cuts, default=None)
        ids = sorted((job_id for part in parts for job_id in part.ids), reverse=True)
        ids = [job_id for job_id in ids if cut is None or job_id >= cut][:limit]
        return _Ids(ids, cut, sum(part.examined for part in parts))

    async def _gather(self, which: Filter) -> list[str] | None:
        """Return all ids of a state that waits or runs, or None if they are many."""
        assert which.state is not None
        queue, task = _maybe(which.queue), _maybe(which.task)
        found = await self._run(_GATHER, [NUMBERS[which.state], *queue, *task, FEW])
        return None if found is None else [each.decode() for each in found]

    async def _walk(
        self, way: _Way, which: Filter, low: str, high: str, limit: int, moment: float
    ) -> _Ids:
        """Go one way from the newest on, step by step, until `moment` is over."""
        deadline = time.monotonic() + moment
        # What is in a set of a state or a cause has that state.
        state = NUMBERS[which.state] if which.state and way.where == "ids" else -1
        narrowed = [state, *_maybe(which.task), *_maybe(which.queue)]
        ids, examined = list[str](), 0
        while True:
            args = [*way.args, low, high, limit - len(ids), STEP, *narrowed]
            cut, looked, found = await self._run(_SEARCH, args)
            ids += [each.decode() for each in found]
            examined += looked
            if cut is None or len(ids) >= limit:
                return _Ids(ids, None, examined)
            high = cut.decode()
            if time.monotonic() >= deadline:
                return _Ids(ids, high, examined)


_LAST = "\U0010ffff"


def _maybe(name: str | None) -> list[Any]:
    return [0, ""] if name is None else [1, name]


def _ways(which: Filter) -> list[_Way]:
    """Choose what to go by: whichever index leaves least to examine."""
    states = [each for each in _UNSUCCESSFUL if which.state in {None, each}]
    if which.error is not None:
        return [_Way("c", each, which.error) for each in states]
    if which.state in _UNSUCCESSFUL:
        return [_Way("i", which.state)]
    return [_Way()]
