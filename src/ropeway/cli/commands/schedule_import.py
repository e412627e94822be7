"""`ropeway schedules import-crontab`: each line of a crontab becomes a schedule."""

from __future__ import annotations

from pathlib import Path

import click

from ropeway.cli.commands.schedule_changes import Caller
from ropeway.cli.crontab import Crontab, Line, local_zone, parse, problems
from ropeway.cli.listing import Drawn, print_list
from ropeway.cli.look import by_hand
from ropeway.cli.shared import LISTING, Shared, options
from ropeway.cli.table import Column
from ropeway.cron.timetable import Timetable, checked
from ropeway.schedules.changing import all_schedules
from ropeway.stepping import step
from ropeway.words import several

_FIELDS = ("line", "schedule", "cron", "timezone", "command", "outcome")
_COLUMNS = (
    Column(heading="LINE", right=True),
    Column(heading="SCHEDULE", least=12),
    Column(heading="CRON"),
    Column(heading="ZONE", optional=1),
    Column(heading="COMMAND", least=12, optional=2),
    Column(heading="OUTCOME", least=12),
)


@click.command("import-crontab")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--task", required=True, help="The task that gets each command, a text, as its argument."
)
@click.option(
    "--timezone",
    "--tz",
    metavar="ZONE",
    help="Of lines without a CRON_TZ; else that of this machine.",
)
@click.option("--prefix", default="cron.", show_default=True, help="What the names begin with.")
@click.option("--system", is_flag=True, help="Lines name a user, as in /etc/crontab.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@options(*LISTING, "app")
@click.pass_obj
def import_crontab(
    shared: Shared,
    file: Path,
    task: str,
    timezone: str | None,
    prefix: str,
    system: bool,
    dry_run: bool,
) -> int:
    """Make a schedule of each line of FILE; one that is there already stays as it is.

    Cron itself has to be told to stop: remove the lines there. Exit code 1 if a line could not
    become a schedule.
    """
    text = file.read_text(encoding="utf-8", errors="replace")
    found = parse(text, timezone=timezone or local_zone(), system=system, prefix=prefix)
    caller = Caller(shared, task)
    calls = {each.name: caller.message([each.command]) for each in _usable(found)}
    outcomes: dict[int, str] = {}
    with caller.place() as backend:
        there = {each.name for each in step(all_schedules(backend, prefix))}
        for line in _usable(found):
            if line.name in there:
                outcomes[line.number] = "is there"
            elif dry_run:
                outcomes[line.number] = "would be added"
            else:
                table = checked(Timetable(cron=line.cron, timezone=line.timezone))
                step(by_hand(backend).schedules.add(line.name, calls[line.name], table))
                outcomes[line.number] = "added"
    records = [_record(each, outcomes) for each in found.lines]
    rows = [[str(value or "") for value in each.values()] for each in records]
    print_list(shared, _FIELDS, records, lambda: Drawn(_COLUMNS, rows))
    for name in found.ignored:
        shared.say(f"{name}= means nothing here: give the worker that environment")
    wrong = problems(found.lines)
    if wrong and not shared.json:
        shared.say(f"{several(len(wrong), 'line')} left out")
    return 1 if wrong else 0


def _usable(found: Crontab) -> list[Line]:
    return [each for each in found.lines if not each.problem]


def _record(line: Line, outcomes: dict[int, str]) -> dict[str, object]:
    return {
        "line": line.number,
        "schedule": None if line.problem else line.name,
        "cron": line.cron or None,
        "timezone": line.timezone,
        "command": line.command or None,
        "outcome": outcomes.get(line.number) or line.problem,
    }
