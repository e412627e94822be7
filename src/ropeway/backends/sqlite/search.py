"""Finding jobs for people among millions: by an index, or as far as a moment goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from ropeway.backends.sqlite import statements as sql
from ropeway.envelope import NUMBERS, job_of
from ropeway.pace import Pace
from ropeway.states import State
from ropeway.store import Cause, Causes, Count, Filter, Found, id_range

Execute = Callable[..., Any]

MOMENT = 0.02
"""Seconds after which a look that has to examine job by job is stopped."""

FEW = 5_000
"""If no more wait, all of them are looked at, rather than all jobs searched for them."""

MOST_COUNTED = 10_000
"""Up to which number the jobs of one cause are counted."""

_UNSUCCESSFUL = [state for state in State if state.final and state is not State.SUCCEEDED]


class _Way(Struct, frozen=True):
    """A statement that finds ids in a range, newest first, and the one to go there in steps.

    Beside the range they take parameters `before` it and `after` it. Without `far` all there is is
    found by an index, in one step.
    """

    search: str
    far: str | None
    before: tuple[Any, ...]
    after: tuple[Any, ...]


class _Ids(Struct, frozen=True):
    """What was found, newest first; older than `cut` nothing has been `examined`."""

    ids: list[str]
    cut: str | None = None
    examined: int = 0


def search(execute: Execute, which: Filter, before: str | None, limit: int) -> Found:
    """List jobs, newest first."""
    found = _find(execute, which, before, limit + 1)
    ids = found.ids[:limit]
    more = len(found.ids) > limit
    rows = (execute(sql.GET_JOB, (job_id,)).fetchone() for job_id in ids)
    first, last = execute(sql.JOB_SPAN).fetchone()
    total = 0 if first is None else last - first + 1
    return Found(
        # Others go on meanwhile: what has been removed since is not shown.
        jobs=[job_of(row) for row in rows if row],
        older=ids[-1] if more and ids else found.cut,
        examined=total if found.cut is None else found.examined,
        total=total,
    )


def count(execute: Execute, which: Filter, cap: int) -> Count:
    """Count jobs, at most up to `cap`."""
    found = _find(execute, which, None, cap + 1)
    whole = found.cut is None and len(found.ids) <= cap
    return Count(number=min(cap, len(found.ids)), whole=whole)


def causes(execute: Execute, which: Filter, limit: int) -> Causes:
    """Group what did not succeed by state and cause, as far as a few moments go."""
    deadline = time.monotonic() + 7 * MOMENT
    found: list[Cause] = []
    whole = True
    for state, cause in _known_causes(execute, which):
        whole = time.monotonic() < deadline
        if not whole:
            break
        if group := _group(execute, which, state, cause):
            found.append(group)
    found.sort(key=lambda each: -each.number)
    return Causes(found=found[:limit], whole=whole and len(found) <= limit)


def _known_causes(execute: Execute, which: Filter) -> Iterator[tuple[State, str | None]]:
    """Every cause of the states that are asked for, by skipping from one to the next."""
    for state in _UNSUCCESSFUL if which.state is None else {which.state} & {*_UNSUCCESSFUL}:
        if which.error is not None:
            yield state, which.error
            continue
        yield state, None
        cause = ""
        while (cause := execute(sql.NEXT_CAUSE, (NUMBERS[state], cause)).get) is not None:
            yield state, cause


def _group(execute: Execute, which: Filter, state: State, cause: str | None) -> Cause | None:
    low, high = id_range(which, None)
    way = _by_cause(which, state, cause)
    found = _walk(execute, way, low, high, MOST_COUNTED + 1, MOMENT)
    row = execute(sql.GET_JOB, (found.ids[0],)).fetchone() if found.ids else None
    if row is None:
        return None
    whole = found.cut is None and len(found.ids) <= MOST_COUNTED
    oldest = found.ids[-1]
    if not whole:
        oldest = execute(sql.OLDEST_CAUSED, (*way.before, low, high)).get or oldest
    number = min(MOST_COUNTED, len(found.ids))
    return Cause(newest=job_of(row), number=number, oldest_id=oldest, whole=whole)


def _find(execute: Execute, which: Filter, before: str | None, limit: int) -> _Ids:
    """Find at most `limit` ids, newest first."""
    low, high = id_range(which, before)
    ways = _ways(execute, which)
    parts = [_walk(execute, way, low, high, limit, MOMENT / len(ways)) for way in ways]
    cuts = [part.cut for part in parts if part.cut is not None]
    # Where one way was cut the others have gone further: that is for the next page.
    cut = max(cuts, default=None)
    ids = sorted((job_id for part in parts for job_id in part.ids), reverse=True)
    ids = [job_id for job_id in ids if cut is None or job_id >= cut][:limit]
    return _Ids(ids, cut, sum(part.examined for part in parts))


def _ways(execute: Execute, which: Filter) -> list[_Way]:
    """Choose what to go by: whichever index leaves least to examine."""
    kind, state = (which.task, which.task), which.state
    kind_and_queue = (*kind, which.queue, which.queue)
    if which.error is not None:
        states = _UNSUCCESSFUL if state is None else {state} & {*_UNSUCCESSFUL}
        return [_by_cause(which, each, which.error) for each in states]
    if state in _UNSUCCESSFUL:
        far = sql.FAR_ENDED if which.task or which.queue else None
        return [_Way(sql.SEARCH_ENDED, far, (NUMBERS[state],), kind_and_queue)]
    if state is State.RUNNING:
        return [_Way(sql.SEARCH_RUNNING, None, (which.queue, which.queue), kind)]
    if state is State.QUEUED and execute(sql.SOME_WAITING, (FEW + 1,)).get <= FEW:
        return [_Way(sql.SEARCH_WAITING, None, (which.queue, which.queue), kind)]
    number = None if state is None else NUMBERS[state]
    far = None if (number, which.task, which.queue) == (None, None, None) else sql.FAR_ID
    return [_Way(sql.SEARCH, far, (), (number, number, *kind_and_queue))]


def _by_cause(which: Filter, state: State, cause: str | None) -> _Way:
    far = sql.FAR_CAUSED if which.task or which.queue else None
    after = (which.task, which.task, which.queue, which.queue)
    return _Way(sql.SEARCH_CAUSED, far, (NUMBERS[state], cause), after)


def _walk(execute: Execute, way: _Way, low: str, high: str, limit: int, moment: float) -> _Ids:
    """Go one way from the newest on, step by step, until `moment` is over."""
    pace = Pace(moment)
    ids: list[str] = []
    examined = 0
    while True:
        floor = way.far and execute(way.far, (*way.before, low, high, pace.step - 1)).get
        bottom = floor or low
        wanted = (*way.before, bottom, high, *way.after, limit - len(ids))
        ids += [row[0] for row in execute(way.search, wanted)]
        if floor is None or len(ids) >= limit:
            return _Ids(ids)
        examined += pace.step
        high = floor
        if pace.over():
            return _Ids(ids, floor, examined)
