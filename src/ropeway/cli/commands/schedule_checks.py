"""`ropeway schedules explain` and `lint`: what an expression means, and what may not be meant so."""

from __future__ import annotations

import time
from itertools import islice

import click

from ropeway.cli import scheduleview
from ropeway.cli.listing import Drawn, print_list
from ropeway.cli.look import looking
from ropeway.cli.output import print_json, print_lines
from ropeway.cli.shared import LISTING, LOOKING, Shared, options
from ropeway.cli.table import Column
from ropeway.cron.expression import cron_of
from ropeway.cron.lint import findings
from ropeway.cron.timetable import Timetable, checked, instants
from ropeway.operate import schedule as told
from ropeway.schedules.changing import all_schedules
from ropeway.schedules.looking import listed
from ropeway.stepping import step

_LINT_FIELDS = ("schedule", "finding")
_LINT_COLUMNS = (Column(heading="SCHEDULE", least=12), Column(heading="FINDING", least=20))


@click.command()
@click.argument("expression")
@click.option("--seconds", default="", metavar="FIELD", help="A field of seconds: '*/15'.")
@click.option("--timezone", "--tz", default="UTC", metavar="ZONE", help="Its zone: Europe/Berlin.")
@click.option("-n", "number", type=click.IntRange(1, 1_000), default=5, help="How many times.")
@options(*LOOKING)
@click.pass_obj
def explain(shared: Shared, expression: str, seconds: str, timezone: str, number: int) -> None:
    """Say what a cron EXPRESSION means and when it is due next; nothing is stored."""
    table = checked(Timetable(cron=expression, seconds=seconds, timezone=timezone))
    now = time.time()
    coming = listed(table, "", list(islice(instants(table, now), number)))
    means, notes = cron_of(expression, seconds).explain(), findings(table, now)
    if shared.json:
        times = [told.upcoming(each) for each in coming]
        print_json({"means": means, "notes": notes, "next": times})
        return
    rows = scheduleview.drawn_next(coming).rows
    print_lines("\n".join([means, *("  ".join(row).rstrip() for row in rows)]))
    for note in notes:
        shared.say(f"note: {note}")


@click.command()
@options(*LISTING)
@click.pass_obj
def lint(shared: Shared) -> int:
    """List what of the schedules may not be meant so; exit code 1 if there is something."""
    records: list[dict[str, str]] = []
    with looking() as (backend, missing):
        if backend is None:
            shared.say(missing)
        else:
            now = step(backend.now())
            for each in step(all_schedules(backend)):
                if each.state != "finished":
                    found = findings(each.timetable, now)
                    records += [{"schedule": each.name, "finding": text} for text in found]
    rows = [list(each.values()) for each in records]
    print_list(shared, _LINT_FIELDS, records, lambda: Drawn(_LINT_COLUMNS, rows))
    return 1 if records else 0
