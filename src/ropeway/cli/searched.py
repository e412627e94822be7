"""Searches from the command line: what the backend does not look for itself is tested here."""

from __future__ import annotations

import re
import time

import click
import msgspec

from ropeway.searching import Query
from ropeway.stepping import step
from ropeway.store import Backend, Filter, Found

GUARD = "\0"  # cannot be on a command line
_NEGATED = re.compile(r"-[A-Za-z_]{2,}:")
_PAGE = 200
PATIENCE = 2.0
"""Seconds after which a search that tests jobs one by one stops, and says how far it came."""


class Searching(click.Command):
    """A command for which -state:failed is a term of a search, not an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Hide negated terms from the parser."""
        guarded = [GUARD + word if _NEGATED.match(word) else word for word in args]
        return super().parse_args(ctx, guarded)


def a_term(text: str) -> str:
    """Take off what `Searching` put on a word."""
    return text.removeprefix(GUARD)


def narrowed(query: Query, which: Filter) -> Query:
    """Return the query with the filter that options made; raises a wrong usage where both speak."""
    given = {name: value for name, value in _fields(which).items() if value is not None}
    for name in given:
        if _fields(query.filter)[name] is not None:
            raise click.UsageError(f"--{name} and {name}: in the search exclude each other")
    return Query(msgspec.structs.replace(query.filter, **given), query.tests)


def _fields(which: Filter) -> dict[str, object]:
    return msgspec.structs.asdict(which)


def search(backend: Backend, query: Query, before: str | None, limit: int, now: float) -> Found:
    """List the jobs that are meant, newest first; stops at `limit`, or when it takes long."""
    if not query.tests:
        return step(backend.search(query.filter, before, limit))
    found = Found(jobs=[])
    until = time.monotonic() + PATIENCE
    while True:
        page = step(backend.search(query.filter, before, _PAGE))
        stopped = page.older is not None and len(page.jobs) < _PAGE
        found = Found(
            jobs=found.jobs + [job for job in page.jobs if query.meant(job, now)],
            older=page.older,
            examined=found.examined + (page.examined if stopped else len(page.jobs)),
            total=max(found.total, page.total),
        )
        if len(found.jobs) > limit:
            jobs = found.jobs[:limit]
            return msgspec.structs.replace(found, jobs=jobs, older=jobs[-1].message.id)
        before = page.older
        if before is None or len(found.jobs) == limit or time.monotonic() > until:
            return found
