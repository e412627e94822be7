"""Finding runs: the newest ones, or one by the start of its id."""

from __future__ import annotations

from collections import deque

from ropeway.errors import BadSearch, RunNotFound
from ropeway.graph import RUNS
from ropeway.ids import first_id
from ropeway.runs.records import RunRecord, RunState, run_of
from ropeway.store import Store

_PAGE = 1_000
_WINDOWS = (3_600.0, 86_400.0, 864_000.0, float("inf"))
"""Seconds back from now, one after the other, in which enough runs are looked for."""


async def newest(
    store: Store, limit: int, *, state: RunState | None = None, name: str | None = None
) -> list[RunRecord]:
    """Return the newest runs, newest first; those that nodes began are shown with their nodes."""
    now = await store.now()
    found: deque[RunRecord] = deque(maxlen=limit)
    for window in _WINDOWS:
        found.clear()
        after = RUNS + first_id(now - window) if now > window else ""
        while records := await store.scan(RUNS, after, _PAGE):
            after = records[-1].key
            found.extend(
                run
                for run in map(run_of, records)
                if run.outer is None and state in {None, run.state} and name in {None, run.name}
            )
        if len(found) == limit:
            break
    return list(reversed(found))


async def find(store: Store, start: str) -> RunRecord:
    """Return the only run whose id begins so; raises `RunNotFound`, or `BadSearch` for several."""
    start = start.strip().lower()
    records = await store.scan(RUNS + start, limit=2) if start else []
    if not records:
        raise RunNotFound(
            f"no run that is kept has an id that begins with {start!r}",
            hint="ropeway workflows ls shows the newest",
        )
    if len(records) > 1:
        raise BadSearch(f"{start!r} begins the id of several runs", hint="write more of it")
    return run_of(records[0])
