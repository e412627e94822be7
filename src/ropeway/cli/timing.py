"""The options of commands that say when a schedule is due, and the call that it sends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from ropeway.cli.shared import a_duration
from ropeway.cron.timetable import MISSED, OVERLAP

F = TypeVar("F", bound=Callable[..., Any])


def a_date(text: str) -> datetime:
    """Read the date of an option, in ISO 8601 with a time zone."""
    example = "write 2030-01-31T09:00+01:00, or Z for UTC"
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a date; {example}") from None
    if found.tzinfo is None:
        raise click.BadParameter(f"{text!r} has no time zone; {example}")
    return found


_TIMING = (
    click.option("--cron", metavar="EXPRESSION", help="Five fields, or a macro: '0 2 * * MON'."),
    click.option("--seconds", metavar="FIELD", help="A field of seconds for it: '*/15'."),
    click.option("--every", type=a_duration, metavar="DURATION", help="An interval: 90s, 1h30m."),
    click.option(
        "--at", type=a_date, multiple=True, metavar="DATE", help="A date; may be repeated."
    ),
    click.option("--timezone", "--tz", metavar="ZONE", help="Of the expression: Europe/Berlin."),
    click.option("--start", type=a_date, metavar="DATE", help="Nothing before."),
    click.option("--end", type=a_date, metavar="DATE", help="Nothing after."),
    click.option("--max-runs", type=click.IntRange(min=1), help="So often at most."),
    click.option("--jitter", type=a_duration, metavar="DURATION", help="Up to so much later."),
    click.option("--grace", type=a_duration, metavar="DURATION", help="What is later is missed."),
    click.option("--missed", type=click.Choice(MISSED), help="What becomes of what was missed."),
    click.option("--missed-limit", type=click.IntRange(1, 1_000), help="For fire_all: how many."),
    click.option(
        "--overlap", type=click.Choice(OVERLAP), help="While the job before has not ended."
    ),
    click.option("--history", type=a_duration, metavar="DURATION", help="How long it is kept."),
)


def timed(function: F) -> F:
    """Give a command the options of a timetable; `given` makes of them what was said."""
    for add in reversed(_TIMING):
        function = add(function)
    return function


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return what was said, without what was not."""
    return {name: value for name, value in options.items() if value not in {None, ()}}
