"""`ropeway schedules add`, `edit`, `pause` and the others that change something."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from ropeway.capabilities import require
from ropeway.cli.apps import find_task, import_app
from ropeway.cli.arguments import parse
from ropeway.cli.complete import schedule_names
from ropeway.cli.confirm import confirm
from ropeway.cli.look import by_hand, changing
from ropeway.cli.output import print_json
from ropeway.cli.shared import LOOKING, Shared, options
from ropeway.cli.timing import a_date, given, timed
from ropeway.cron.timetable import iso
from ropeway.operate import schedule as told
from ropeway.schedules.changing import MOST_BACKFILLED, all_schedules
from ropeway.schedules.changing import backfill as backfilled
from ropeway.schedules.options import timetable_of
from ropeway.schedules.record import Schedule
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.words import date, several
from ropeway.worker.locate import choose_target

if TYPE_CHECKING:
    from ropeway.message import Message


class Caller:
    """The app that has a task, to make calls of it, and the place where its jobs are kept."""

    def __init__(self, shared: Shared, task: str) -> None:
        target = choose_target(shared.app)
        self._app = import_app(target)
        self._task = find_task(self._app.tasks, task, target)

    def message(self, words: Sequence[str], **using: Any) -> Message:
        """Return the message of a call, checked by the signature of the task."""
        args, kwargs = parse(self._task.definition, words)
        return self._task.using(**using).call(*args, **kwargs).message

    @contextmanager
    def place(self) -> Iterator[Backend]:
        """Open the place for the block, and make it if need be."""
        backend = self._app.connection.blocking()
        require(backend.capabilities, "shared", "ropeway schedules")
        try:
            yield backend
        finally:
            step(backend.close())


def _told(shared: Shared, schedule: Schedule, what: str) -> None:
    if shared.json:
        print_json(told.summary(schedule))
        return
    due = schedule.due
    shared.say(f"{schedule.name} {what}" + ("" if due is None else f"; next: {date(due)}"))


def _sending(function: Any) -> Any:
    for add_option in (
        click.option("--queue", help="Send to this queue instead of the task's own."),
        click.option("--priority", type=click.IntRange(0, 9), help="0 to 9; 9 is claimed first."),
    )[::-1]:
        function = add_option(function)
    return function


@click.command()
@click.argument("schedule")
@click.argument("task")
@click.argument("arguments", nargs=-1, metavar="[ARGUMENTS]...")
@timed
@_sending
@options()
@click.pass_obj
def add(
    shared: Shared,
    /,
    schedule: str,
    task: str,
    arguments: tuple[str, ...],
    queue: str | None,
    priority: int | None,
    **timing: Any,
) -> None:
    """Make a schedule of a call of TASK, with ARGUMENTS as `ropeway run` takes them."""
    table = timetable_of(given(timing))
    caller = Caller(shared, task)
    message = caller.message(arguments, queue=queue, priority=priority)
    with caller.place() as backend:
        _told(shared, step(by_hand(backend).schedules.add(schedule, message, table)), "is there")


@click.command()
@click.argument("schedule", shell_complete=schedule_names)
@click.argument("task", required=False)
@click.argument("arguments", nargs=-1, metavar="[ARGUMENTS]...")
@timed
@_sending
@options()
@click.pass_obj
def edit(
    shared: Shared,
    /,
    schedule: str,
    task: str | None,
    arguments: tuple[str, ...],
    queue: str | None,
    priority: int | None,
    **timing: Any,
) -> None:
    """Change a schedule: what is named, and with TASK also its call. It goes on from now."""
    using = {"queue": queue, "priority": priority}
    if task is None and given(using):
        raise click.UsageError("--queue and --priority are of the call: name the task too.")
    changed = given(timing)
    if not changed and task is None:
        raise click.UsageError("Nothing to change was named.")
    caller = None if task is None else Caller(shared, task)
    message = None if caller is None else caller.message(arguments, **using)
    with changing() if caller is None else caller.place() as backend:
        found = step(by_hand(backend).schedules.edit(schedule, changed, message))
    _told(shared, found, "is changed")


@click.command()
@click.argument("schedule", shell_complete=schedule_names)
@click.option("--why", default="", metavar="TEXT", help="The reason, for whoever looks.")
@options(*LOOKING)
@click.pass_obj
def pause(shared: Shared, schedule: str, why: str) -> None:
    """Have a schedule fire nothing until it is resumed, whatever is deployed."""
    with changing() as backend:
        _told(shared, step(by_hand(backend).schedules.pause(schedule, why)), "is paused")


@click.command()
@click.argument("schedule", shell_complete=schedule_names)
@options(*LOOKING)
@click.pass_obj
def resume(shared: Shared, schedule: str) -> None:
    """Have a schedule go on from now; what was due meanwhile is not made up for."""
    with changing() as backend:
        _told(shared, step(by_hand(backend).schedules.resume(schedule)), "goes on")


@click.command()
@click.argument("schedule", shell_complete=schedule_names)
@options(*LOOKING)
@click.pass_obj
def run(shared: Shared, schedule: str) -> None:
    """Send the call of a schedule now, also while it is paused; prints the id of the job."""
    with changing() as backend:
        job_id = step(by_hand(backend).schedules.run_now(schedule))
    if shared.json:
        print_json({"id": job_id})
    else:
        print(job_id)


@click.command()
@click.argument("schedule", shell_complete=schedule_names)
@click.option(
    "--force", is_flag=True, help="Also if code declares it, which is not there any more."
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options(*LOOKING)
@click.pass_obj
def rm(shared: Shared, schedule: str, force: bool, yes: bool) -> None:
    """Remove a schedule; its jobs stay."""
    with changing() as backend:
        confirm(f"remove schedule {schedule}", yes=yes)
        step(by_hand(backend).schedules.remove(schedule, force=force))
    shared.say(f"{schedule} is removed")


@click.command()
@click.argument("schedule", required=False, shell_complete=schedule_names)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options(*LOOKING)
@click.pass_obj
def clear(shared: Shared, schedule: str | None, yes: bool) -> None:
    """Remove what has finished, of SCHEDULE or of all: past instants with their ended jobs.

    And schedules that will not fire again. What waits or runs stays. Prints how many instants.
    """
    with changing() as backend:
        confirm(f"clear what has finished of {schedule or 'all schedules'}", yes=yes)
        names = [schedule] if schedule else [each.name for each in step(all_schedules(backend))]
        removed = step(by_hand(backend).schedules.clear(names))
    if shared.json:
        print_json({"removed": removed})
    else:
        print(removed)


@click.command()
@click.argument("schedule", shell_complete=schedule_names)
@click.option("--since", type=a_date, required=True, metavar="DATE", help="From this date on.")
@click.option("--until", type=a_date, required=True, metavar="DATE", help="Up to this date.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=MOST_BACKFILLED,
    show_default=True,
    help="Refuse more instants than this.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@options(*LOOKING)
@click.pass_obj
def backfill(
    shared: Shared, schedule: str, since: datetime, until: datetime, limit: int, dry_run: bool
) -> None:
    """Send the calls of past instants that have no job yet; prints the instants."""
    begin, end = since.timestamp(), until.timestamp()
    with changing() as backend:
        if dry_run:
            found = step(backfilled(backend, schedule, begin, end, limit=limit, dry_run=True))
        else:
            found = step(by_hand(backend).schedules.backfill(schedule, begin, end, limit=limit))
    if shared.json:
        dates = [iso(each) for each in found.instants]
        print_json({"instants": dates, "jobs": list(found.jobs), "there": found.there})
        return
    for each in found.instants:
        print(iso(each))
    what = "would be sent" if dry_run else "sent"
    shared.say(f"{several(len(found.instants), 'call')} {what}, {found.there} were there before")
