"""From an id, or the start of one, to the handle of a job."""

from __future__ import annotations

from typing import Any

import click

from ropeway.errors import JobNotFound
from ropeway.operate.source import Source
from ropeway.results import Job
from ropeway.stepping import step
from ropeway.store import Backend, Filter

_WHOLE = 36
_MOST = 10


def find_job(backend: Backend | None, missing: str, start: str) -> Job[Any]:
    """Return the only job whose id begins with `start`.

    Raises `JobNotFound` if there is none, and a wrong usage with the candidates if there are more.
    `missing` says why there is no backend, when there is none.
    """
    start = start.strip().lower()
    if backend is None:
        raise JobNotFound(f"nothing is kept of job {start}", hint=missing)
    if len(start) == _WHOLE:
        return Job(Source(backend), start)  # its record is looked up by its key
    found = step(backend.search(Filter(id_prefix=start), None, _MOST + 1)).jobs
    if not found:
        raise JobNotFound(
            f"no job that is kept has an id that begins with {start!r}",
            hint="ropeway jobs ls shows the newest",
        )
    if len(found) > 1:
        listed = "".join(f"\n  {job.message.id}  {job.message.task}" for job in found[:_MOST])
        more = "\n  ..." if len(found) > _MOST else ""
        raise click.UsageError(f"{start!r} begins the id of several jobs:{listed}{more}")
    return Job(Source(backend), found[0].message.id)
