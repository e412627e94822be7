"""Putting a job right from the command line: from options to an edit, and how it differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click
import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from ropeway.blobs import loaded
from ropeway.cli.output import to_json
from ropeway.codec import Undecodable
from ropeway.editing import Edit, edited
from ropeway.errors import BodyLost
from ropeway.message import JobRecord
from ropeway.operate import job as jobs
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.words import date

_SHOWN = 2_000


def edit_of(
    job: JobRecord, args: str | None, sets: Sequence[str], body: bytes | None, **plain: Any
) -> Edit:
    """Return what to change of a job; raises a wrong usage if that is nothing."""
    given = {name: value for name, value in plain.items() if value is not None}
    if sum((args is not None, bool(sets), body is not None)) > 1:
        raise click.UsageError("--args, --set and --body exclude each other.")
    if args is not None:
        given["arguments"] = _object(args)
    elif sets:
        given["arguments"] = _changed(job, sets)
    elif body is not None:
        given["body"] = body
    if not given:
        raise click.UsageError("Nothing is to be changed: see --help for what can be.")
    return Edit(**given)


def differences(job: JobRecord, edit: Edit) -> list[str]:
    """Return a line for each thing that an edit changes: before → after."""
    return [f"{name}: {before} → {after}" for name, before, after in _pairs(job, edit)]


def _pairs(job: JobRecord, edit: Edit) -> Iterator[tuple[str, str, str]]:
    old = job.message
    new = edited(old, edit)
    for name, field in (("task", "task"), ("queue", "queue"), ("priority", "band")):
        before, after = getattr(old, field), getattr(new, field)
        if before != after:
            yield name, str(before), str(after)
    if old.body != new.body:
        after_job = replace(job, message=new)
        yield "arguments", _arguments(job), _arguments(after_job)
    if edit.due is not UNSET:
        yield "due", date(job.due), date(edit.due)


def _arguments(job: JobRecord) -> str:
    found = jobs.arguments(job)
    if isinstance(found, Undecodable):
        return f"{len(job.message.body):,} bytes that cannot be read"
    text = to_json(found, pretty=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text):,} characters)"


def with_arguments(backend: Backend, job: JobRecord) -> JobRecord:
    """Return the job with its arguments in it; if they are lost, as it is."""
    try:
        return replace(job, message=step(loaded(backend, job.message)))
    except BodyLost:
        return job


def _changed(job: JobRecord, sets: Sequence[str]) -> dict[str, Any]:
    found = jobs.arguments(job)
    if not isinstance(found, dict):
        raise click.UsageError(
            "The arguments cannot be read as an object: give all of them: --args."
        )
    for word in sets:
        name, equals, text = word.partition("=")
        if not name or not equals:
            raise click.UsageError(f"{word!r} is not NAME=VALUE.")
        try:
            found[name] = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            found[name] = text
    return found


def _object(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise click.UsageError(
            f"""--args is not a JSON object: {error}. Write --args '{{"x": 1}}'."""
        ) from None
