"""Searches: what the backend does not look for itself is tested here, job by job."""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec.structs import replace

from ropeway.bulk import select
from ropeway.errors import BadSearch
from ropeway.searching import Query
from ropeway.states import State
from ropeway.store import Backend, Found

_PAGE = 200
PATIENCE = 2.0
"""Seconds after which a search that tests jobs one by one stops, and says how far it came."""


async def search(
    backend: Backend, query: Query, before: str | None, limit: int, now: float
) -> Found:
    """List the jobs that are meant, newest first; stops at `limit`, or when it takes long."""
    if not query.tests:
        return await backend.search(query.filter, before, limit)
    found = Found(jobs=[])
    until = time.monotonic() + PATIENCE
    while True:
        page = await backend.search(query.filter, before, _PAGE)
        stopped = page.older is not None and len(page.jobs) < _PAGE
        found = Found(
            jobs=found.jobs + [job for job in page.jobs if query.meant(job, now)],
            older=page.older,
            examined=found.examined + (page.examined if stopped else len(page.jobs)),
            total=max(found.total, page.total),
        )
        if len(found.jobs) > limit:
            jobs = found.jobs[:limit]
            return replace(found, jobs=jobs, older=jobs[-1].message.id)
        before = page.older
        if before is None or len(found.jobs) == limit or time.monotonic() > until:
            return found


async def chosen(
    backend: Backend, query: Query, states: Sequence[State], limit: int | None, now: float
) -> list[str]:
    """Return the ids of the newest jobs in one of `states` that a search finds, oldest first.

    Raises `BadSearch` for a search that asks for another state.
    """
    asked = query.filter.state
    if asked is not None and asked not in states:
        allowed = ", ".join(states)
        raise BadSearch(f"jobs that are {asked} are not meant", hint=f"choose among {allowed}")
    ids: list[str] = []
    for state in states if asked is None else (asked,):
        meant = (lambda job: query.meant(job, now)) if query.tests else None
        ids += await select(backend, replace(query.filter, state=state), limit, meant)
    return sorted(ids)[-(limit or len(ids)) :] if ids else ids
