"""`ropeway schedules`: look at schedules; the commands that change them are beside."""

from __future__ import annotations

import click

from ropeway.cli import scheduleview
from ropeway.cli.commands import schedule_changes as changes
from ropeway.cli.commands.schedule_checks import explain, lint
from ropeway.cli.commands.schedule_import import import_crontab
from ropeway.cli.complete import schedule_names
from ropeway.cli.groups import Suggesting
from ropeway.cli.listing import print_list
from ropeway.cli.look import changing, looking
from ropeway.cli.output import print_json, print_lines
from ropeway.cli.shared import LISTING, LOOKING, Shared, options
from ropeway.operate import schedule as told
from ropeway.schedules.changing import all_schedules, find
from ropeway.schedules.looking import history as history_of
from ropeway.schedules.looking import upcoming
from ropeway.schedules.record import Schedule
from ropeway.stepping import step

_SHOWN = 5


@click.group(cls=Suggesting)
@options(*LOOKING)
def schedules() -> None:
    """Look at schedules and change them: ls, show, next, history, add, edit, pause, run, rm ..."""


for command in (
    changes.add,
    changes.edit,
    changes.pause,
    changes.resume,
    changes.run,
    changes.rm,
    changes.clear,
    changes.backfill,
    lint,
    explain,
    import_crontab,
):
    schedules.add_command(command)


@schedules.command()
@click.argument("prefix", default="")
@options(*LISTING)
@click.pass_obj
def ls(shared: Shared, prefix: str) -> None:
    """List the schedules whose names begin with PREFIX, or all."""
    found, now = list[Schedule](), 0.0
    with looking() as (backend, missing):
        if backend is None:
            shared.say(missing)
        else:
            now, found = step(backend.now()), step(all_schedules(backend, prefix))
            if not found and not shared.json:
                shared.say("no schedules: workers declare those of their code when they start")
    records = [told.summary(each) for each in found]
    print_list(shared, told.FIELDS, records, lambda: scheduleview.drawn(found, now))


@schedules.command()
@click.argument("schedule", shell_complete=schedule_names)
@options(*LOOKING)
@click.pass_obj
def show(shared: Shared, schedule: str) -> None:
    """Show one schedule: what it sends and when, its next times, and what became of the last ones."""
    with changing() as backend:
        found, now = step(find(backend, schedule)), step(backend.now())
        kept = step(history_of(backend, schedule, _SHOWN))
    coming = upcoming(found, _SHOWN)
    if shared.json:
        more = {
            "upcoming": [told.upcoming(each) for each in coming],
            "history": [told.kept(each) for each in kept],
        }
        print_json(told.summary(found) | more)
    else:
        print_lines(scheduleview.page(found, coming, kept, now))


@schedules.command("next")
@click.argument("schedule", shell_complete=schedule_names)
@click.option("-n", "number", type=click.IntRange(1, 10_000), default=10, help="How many times.")
@options(*LISTING)
@click.pass_obj
def next_(shared: Shared, schedule: str, number: int) -> None:
    """List the next times of a schedule, in its zone, with a note where clocks are changed."""
    with changing() as backend:
        found = upcoming(step(find(backend, schedule)), number)
    records = [told.upcoming(each) for each in found]
    print_list(shared, told.NEXT_FIELDS, records, lambda: scheduleview.drawn_next(found))


@schedules.command()
@click.argument("schedule", shell_complete=schedule_names)
@click.option("-n", "number", type=click.IntRange(1, 10_000), default=50, help="How many.")
@options(*LISTING)
@click.pass_obj
def history(shared: Shared, schedule: str, number: int) -> None:
    """List what became of the last instants, newest first: decision, job, lateness."""
    with changing() as backend:
        found = step(history_of(backend, schedule, number))
        if not found:
            step(find(backend, schedule))
    records = [told.kept(each) for each in found]
    print_list(shared, told.HISTORY_FIELDS, records, lambda: scheduleview.drawn_history(found))
