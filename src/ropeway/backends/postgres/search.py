"""Finding jobs for people among millions: by an index, or as far as a moment goes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from ropeway.backends.postgres.query import rows
from ropeway.backends.postgres.sessions import Connection
from ropeway.backends.postgres.statements import SQL
from ropeway.envelope import NUMBERS, STATES, job_of
from ropeway.pace import Pace
from ropeway.states import State
from ropeway.store import Cause, Causes, Count, Filter, Found, id_range

MOMENT = 0.02
"""Seconds after which a look that has to examine job by job is stopped."""

FEW = 5_000
"""If no more wait, all of them are looked at, rather than all open jobs searched for them."""

MOST_COUNTED = 10_000
"""Up to which number the jobs of one cause are counted."""

_UNSUCCESSFUL = [state for state in State if state.final and state is not State.SUCCEEDED]


class _Way(Struct, frozen=True):
    """A statement that finds ids in a range, newest first, and the one to go there in steps.

    Without `far` all there is is found by an index, in one step. `more` is what they take besides.
    """

    search: str
    far: str | None
    state: int | None
    more: tuple[Any, ...] = ()


class _Ids(Struct, frozen=True):
    """What was found, newest first; older than `cut` nothing has been `examined`."""

    ids: list[str]
    cut: str | None = None
    examined: int = 0


async def search(connection: Connection, which: Filter, before: str | None, limit: int) -> Found:
    """List jobs, newest first."""
    found = await _find(connection, which, before, limit + 1)
    ids = found.ids[:limit]
    # Others go on meanwhile: what has been removed since is not shown.
    known = {row[0]: job_of(row) for row in await rows(connection, ids)}
    total = max(await connection.fetchval(SQL["about"]), found.examined, len(found.ids))
    return Found(
        jobs=[known[job_id] for job_id in ids if job_id in known],
        older=ids[-1] if len(found.ids) > limit else found.cut,
        examined=total if found.cut is None else found.examined,
        total=total,
    )


async def count(connection: Connection, which: Filter, cap: int) -> Count:
    """Count jobs, at most up to `cap`."""
    found = await _find(connection, which, None, cap + 1)
    whole = found.cut is None and len(found.ids) <= cap
    return Count(number=min(cap, len(found.ids)), whole=whole)


async def causes(connection: Connection, which: Filter, limit: int) -> Causes:
    """Group what did not succeed by state and cause, as far as a few moments go."""
    deadline = time.monotonic() + 7 * MOMENT
    found: list[Cause] = []
    whole = True
    for state, cause in await _known_causes(connection, which):
        whole = time.monotonic() < deadline
        if not whole:
            break
        if group := await _group(connection, which, state, cause):
            found.append(group)
    found.sort(key=lambda each: -each.number)
    return Causes(found=found[:limit], whole=whole and len(found) <= limit)


async def _known_causes(connection: Connection, which: Filter) -> list[tuple[State, str]]:
    states = [state for state in _UNSUCCESSFUL if which.state in {None, state}]
    if which.error is not None:
        return [(state, which.error) for state in states]
    found = await connection.fetch(SQL["causes"], [NUMBERS[state] for state in states])
    return [(STATES[state], cause) for state, cause in found]


async def _group(connection: Connection, which: Filter, state: State, cause: str) -> Cause | None:
    low, high = id_range(which, None)
    way = _by_cause(which, state, cause)
    found = await _walk(connection, which, way, low, high, MOST_COUNTED + 1, MOMENT)
    newest = await rows(connection, found.ids[:1])
    if not newest:
        return None
    whole = found.cut is None and len(found.ids) <= MOST_COUNTED
    oldest = found.ids[-1]
    if not whole:
        wanted = (low, high, NUMBERS[state], cause)
        oldest = await connection.fetchval(SQL["oldest_caused"], *wanted) or oldest
    number = min(MOST_COUNTED, len(found.ids))
    return Cause(newest=job_of(newest[0]), number=number, oldest_id=oldest, whole=whole)


async def _find(connection: Connection, which: Filter, before: str | None, limit: int) -> _Ids:
    """Find at most `limit` ids, newest first."""
    low, high = id_range(which, before)
    ways = await _ways(connection, which)
    moment = MOMENT / max(1, len(ways))
    parts = [await _walk(connection, which, way, low, high, limit, moment) for way in ways]
    cuts = [part.cut for part in parts if part.cut is not None]
    # Where one way was cut the others have gone further: that is for the next page.
    cut = max(cuts, default=None)
    # A job that is settled meanwhile may be found on two ways.
    ids = sorted({job_id for part in parts for job_id in part.ids}, reverse=True)
    ids = [job_id for job_id in ids if cut is None or job_id >= cut][:limit]
    return _Ids(ids, cut, sum(part.examined for part in parts))


async def _ways(connection: Connection, which: Filter) -> Sequence[_Way]:
    """Choose what to go by: whichever index leaves least to examine."""
    state = which.state
    number = None if state is None else NUMBERS[state]
    narrowed = bool(which.task or which.queue)
    if which.error is not None:
        states = [each for each in _UNSUCCESSFUL if state in {None, each}]
        return [_by_cause(which, each, which.error) for each in states]
    if state in _UNSUCCESSFUL:
        return [_Way("search_ended", "far_ended" if narrowed else None, number, (number,))]
    if state is State.RUNNING:
        return [_Way("search_running", None, number)]
    if state is State.QUEUED and await connection.fetchval(SQL["some_waiting"], FEW + 1) <= FEW:
        return [_Way("search_waiting", None, number)]
    looked_through = narrowed or state is not None
    opened = _Way("search_open", "far_open" if looked_through else None, number)
    settled = _Way("search_finished", "far_finished" if looked_through else None, number)
    if state is None:
        return [opened, settled]
    return [settled] if state.final else [opened]


def _by_cause(which: Filter, state: State, cause: str) -> _Way:
    far = "far_caused" if which.task or which.queue else None
    return _Way("search_caused", far, NUMBERS[state], (NUMBERS[state], cause))


async def _walk(
    connection: Connection,
    which: Filter,
    way: _Way,
    low: str,
    high: str,
    limit: int,
    moment: float,
) -> _Ids:
    """Go one way from the newest on, step by step, until `moment` is over."""
    pace = Pace(moment)
    more = way.more[1:]  # a state is among what every search takes
    ids: list[str] = []
    examined = 0
    while True:
        floor = None
        if way.far is not None:
            floor = await connection.fetchval(SQL[way.far], low, high, pace.step - 1, *way.more)
        wanted = (floor or low, high, way.state, which.task, which.queue, limit - len(ids))
        ids += [row[0] for row in await connection.fetch(SQL[way.search], *wanted, *more)]
        if floor is None or len(ids) >= limit:
            return _Ids(ids)
        examined += pace.step
        high = floor
        if pace.over():
            return _Ids(ids, floor, examined)
