"""Groups of failures as people and programs are shown them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ropeway.cli import jobview
from ropeway.cli.listing import Drawn
from ropeway.cli.table import Column
from ropeway.store import Cause
from ropeway.words import NOTHING, iso, relative

FIELDS = ("cause", "number", "whole", "state", "task", "error", "newest", "newest_id", "oldest_id")
"""What `summary` returns, for `--fields`."""

_COLUMNS = (
    Column(heading="CAUSE"),
    Column(heading="JOBS", right=True),
    Column(heading="TASK", least=16),
    Column(heading="NEWEST", right=True),
    Column(heading="ERROR OF THE NEWEST", least=20),
)


def drawn(causes: Sequence[Cause], now: float) -> Drawn:
    """Return the table of some groups."""
    return Drawn(_COLUMNS, [_row(cause, now) for cause in causes])


def summary(cause: Cause) -> dict[str, Any]:
    """Return a group for JSON; not `whole`: at least so many."""
    job = cause.newest
    return {
        "cause": fingerprint(cause),
        "number": cause.number,
        "whole": cause.whole,
        "state": job.state.value,
        "task": job.message.task,
        "error": jobview.error(job),
        "newest": iso(job.finished),
        "newest_id": job.message.id,
        "oldest_id": cause.oldest_id,
    }


def fingerprint(cause: Cause) -> str | None:
    """Return what the errors of a group have in common, if that is known."""
    return (cause.newest.error and cause.newest.error.fingerprint) or None


def _row(cause: Cause, now: float) -> list[str]:
    job = cause.newest
    return [
        fingerprint(cause) or NOTHING,
        f"{cause.number}{'' if cause.whole else '+'}",
        job.message.task,
        NOTHING if job.finished is None else relative(max(0.0, now - job.finished)),
        jobview.error_line(job),
    ]
