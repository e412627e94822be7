"""A job as plain values, and the lines that people are shown of it."""

from __future__ import annotations

from typing import Any

import msgspec

from ropeway.codec import Undecodable
from ropeway.codecs import JSON, codec_for
from ropeway.matching import ran, view, waited
from ropeway.message import JobRecord
from ropeway.progress import Progress
from ropeway.reference import reference_of
from ropeway.why import Obstacle, Why
from ropeway.words import NOTHING, iso

FIELDS = (
    "id",
    "task",
    "queue",
    "priority",
    "state",
    "view",
    "attempt",
    "failures",
    "losses",
    "releases",
    "enqueued",
    "due",
    "started",
    "finished",
    "waited_seconds",
    "ran_seconds",
    "holder",
    "error",
)
"""What `summary` returns, for `--fields`."""


def error(job: JobRecord) -> dict[str, Any] | None:
    """Return the error for JSON; its `cause` is what it has in common with others."""
    if job.error is None:
        return None
    return {
        "type": job.error.type,
        "message": job.error.message,
        "cause": job.error.fingerprint or None,
    }


def error_line(job: JobRecord) -> str:
    """Return the error on one line, its first, or a dash."""
    if job.error is None:
        return NOTHING
    first = job.error.message.strip().partition("\n")[0]
    return f"{job.error.type}: {first}" if first else job.error.type


def progress_line(progress: Progress) -> str:
    """Return a report on one line: 3 of 10 (30 %): half way."""
    done = f"{progress.done:,.12g}"
    if progress.of is not None:
        done += f" of {progress.of:,.12g}"
    if progress.fraction is not None:
        done += f" ({progress.fraction:.0%})"
    return f"{done}: {progress.note}" if progress.note else done


def summary(job: JobRecord, now: float) -> dict[str, Any]:
    """Return what a list says of a job, for JSON."""
    message = job.message
    return {
        "id": message.id,
        "task": message.task,
        "queue": message.queue,
        "priority": message.band,
        "state": job.state.value,
        "view": view(job, now),
        "attempt": job.attempt,
        "failures": job.failures,
        "losses": job.losses,
        "releases": job.releases,
        "enqueued": iso(job.enqueued),
        "due": iso(job.due),
        "started": iso(job.started),
        "finished": iso(job.finished),
        "waited_seconds": _rounded(waited(job, now)),
        "ran_seconds": _rounded(ran(job, now)),
        "holder": job.holder,
        "error": error(job),
    }


def _rounded(seconds: float | None) -> float | None:
    """Return whole microseconds; None also for what has not begun."""
    return None if seconds is None or seconds < 0 else round(seconds, 6)


def why_fields(answer: Why) -> dict[str, Any]:
    """Return for JSON why a job is not running."""
    return _obstacle(answer) | {"besides": [_obstacle(each) for each in answer.besides]}


def _obstacle(found: Obstacle) -> dict[str, Any]:
    return {
        "reason": found.reason,
        "says": found.says,
        "command": found.command or None,
        "job": found.job,
        "until": iso(found.until),
    }


def whole(
    job: JobRecord, now: float, answer: Why, progress: Progress | None = None
) -> dict[str, Any]:
    """Return all that is kept of a job, for JSON."""
    message = job.message
    found = summary(job, now) | {
        "why": why_fields(answer),
        "progress": None if progress is None else msgspec.structs.asdict(progress),
        "key": message.key,
        "limits": list(message.limits),
        "tags": list(message.terms.tags) if message.terms is not None else [],
        "headers": message.headers,
        "arguments": None,
        "result": None if reference_of(job.value) else result(job),
    }
    large = {"arguments": message.body, "result": job.value}
    found["apart"] = {
        name: {"bytes": reference.size, "begins": beginning(reference.begins)}
        for name, held in large.items()
        if (reference := reference_of(held)) is not None
    }
    body = arguments(job)
    if "arguments" in found["apart"]:
        pass  # too large to be shown with the rest
    elif isinstance(body, Undecodable):
        found["unreadable"] = body.reason
    else:
        found["arguments"] = body
    if job.error:
        found["error"]["traceback"] = job.error.traceback
    return found


def apart(held: bytes | None) -> str | None:
    """Say what is kept apart from the job, if this stands in the place of it."""
    reference = reference_of(held)
    if reference is None:
        return None
    return f"{reference.size:,} bytes, kept apart; they begin: {beginning(reference.begins)}"


def beginning(data: bytes) -> str:
    """Return the first bytes of something as text."""
    return data.decode("utf-8", "backslashreplace")


def arguments(job: JobRecord) -> Any:
    """Return the arguments as plain values, or `Undecodable`."""
    if reference_of(job.message.body) is not None:
        return Undecodable("they are kept apart from the job")
    codec = codec_for(job.message.content_type)
    if codec is None:
        return Undecodable(f"no codec for content type {job.message.content_type!r}")
    value = codec.decode(job.message.body, Any)
    return value if isinstance(value, Undecodable) else msgspec.to_builtins(value, str_keys=True)


def result(job: JobRecord) -> Any:
    """Return what the task returned as plain values; None also when nothing is kept."""
    value = None if job.value is None else JSON.decode(job.value, Any)
    return f"unreadable: {value.reason}" if isinstance(value, Undecodable) else value
