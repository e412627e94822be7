"""Searches from the command line."""

from __future__ import annotations

import re

import click
import msgspec

from ropeway.searching import Query
from ropeway.store import Filter

GUARD = "\0"  # cannot be on a command line
_NEGATED = re.compile(r"-[A-Za-z_]{2,}:")


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
