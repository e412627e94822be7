"""`ropeway audit`: who did what by hand."""

from __future__ import annotations

from typing import Any

import click

from ropeway.cli.listing import Drawn, print_list
from ropeway.cli.look import looking
from ropeway.cli.shared import LISTING, Shared, options
from ropeway.cli.table import Column
from ropeway.operate.audit import Audit, Entry, entries
from ropeway.stepping import step
from ropeway.words import NOTHING, date, iso

FIELDS = ("at", "by", "via", "action", "target", "why", "outcome", "told")

_COLUMNS = (
    Column(heading="AT"),
    Column(heading="BY", least=10),
    Column(heading="VIA", optional=2),
    Column(heading="ACTION"),
    Column(heading="TARGET", least=12),
    Column(heading="OUTCOME"),
    Column(heading="TOLD", least=10, optional=1),
)


@click.command()
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many."
)
@click.option("--after", metavar="KEY", help="Only those before this place.")
@options(*LISTING)
@click.pass_obj
def audit(shared: Shared, limit: int, after: str | None) -> None:
    """List what was done by hand, and by whom.

    What is done at the command line and in the dashboard is on record for 90 days, newest first. "begun" is what was not
    finished: its program died, or is at it.
    """
    found = Audit([])
    with looking() as (backend, missing):
        if backend is None:
            shared.say(missing)
        else:
            found = step(entries(backend, after or "", limit))
    print_list(
        shared,
        FIELDS,
        [told(entry) for entry in found.entries],
        lambda: Drawn(_COLUMNS, [_row(entry) for entry in found.entries]),
    )
    if found.older:
        shared.hint(f"older ones: ropeway audit --after {found.older}")


def told(entry: Entry) -> dict[str, Any]:
    """Return an entry for JSON."""
    return {name: getattr(entry, name) for name in FIELDS} | {"at": iso(entry.at)}


def _row(entry: Entry) -> list[str]:
    said = entry.told or entry.why or NOTHING
    return [date(entry.at), entry.by, entry.via, entry.action, entry.target, entry.outcome, said]
