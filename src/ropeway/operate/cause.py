"""A group of failures as plain values."""

from __future__ import annotations

from typing import Any

from ropeway.operate import job as jobs
from ropeway.store import Cause
from ropeway.words import iso

FIELDS = ("cause", "number", "whole", "state", "task", "error", "newest", "newest_id", "oldest_id")
"""What `summary` returns, for `--fields`."""


def summary(cause: Cause) -> dict[str, Any]:
    """Return a group for JSON; not `whole`: at least so many."""
    job = cause.newest
    return {
        "cause": fingerprint(cause),
        "number": cause.number,
        "whole": cause.whole,
        "state": job.state.value,
        "task": job.message.task,
        "error": jobs.error(job),
        "newest": iso(job.finished),
        "newest_id": job.message.id,
        "oldest_id": cause.oldest_id,
    }


def fingerprint(cause: Cause) -> str | None:
    """Return what the errors of a group have in common, if that is known."""
    return (cause.newest.error and cause.newest.error.fingerprint) or None
