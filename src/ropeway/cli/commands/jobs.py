"""`ropeway jobs`: look at jobs, and change them."""

from __future__ import annotations

import time

import click

from ropeway.cli import jobview
from ropeway.cli.commands import changes
from ropeway.cli.commands.logs import logs
from ropeway.cli.complete import job_ids
from ropeway.cli.find import find_job
from ropeway.cli.following import followed
from ropeway.cli.groups import Suggesting
from ropeway.cli.jobpage import page
from ropeway.cli.listing import print_list
from ropeway.cli.look import looking
from ropeway.cli.output import print_json, print_lines
from ropeway.cli.searched import Searching, a_term, narrowed
from ropeway.cli.shared import LISTING, LOOKING, Shared, a_duration, options
from ropeway.errors import ResultTimeout
from ropeway.operate import job as jobs_told
from ropeway.operate.finding import search
from ropeway.searching import parse
from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import Filter, Found
from ropeway.why import gather, why

NONE = Found(jobs=[])


@click.group(cls=Suggesting)
@options(*LOOKING)
def jobs() -> None:
    """Look at jobs and change them: ls, show, result, logs, cancel, retry, edit, rm.

    No app is imported: the jobs are those at --url, else ROPEWAY_URL, else the url of
    pyproject.toml, else .ropeway/ropeway.db.
    """


@jobs.command(cls=Searching)
@click.argument("words", type=a_term, metavar="[SEARCH]...", nargs=-1)
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only these.")
@click.option("--task", metavar="NAME", help="Only calls of this task, by its full name.")
@click.option("--queue", metavar="NAME", help="Only those in this queue.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many."
)
@click.option("--before", metavar="ID", help="Only those sent before this job.")
@options(*LISTING)
@click.pass_obj
def ls(
    shared: Shared,
    words: tuple[str, ...],
    state: str | None,
    task: str | None,
    queue: str | None,
    limit: int,
    before: str | None,
) -> None:
    """List jobs, newest first.

    SEARCH is terms that all must hold: state:failed queue:mail task:photos.* since:1h
    error:TimeoutError -worker:web* ran:>5s, and words to be found in the task's name or the error.
    """
    which = Filter(state=State(state) if state else None, task=task, queue=queue)
    with looking() as (backend, missing):
        if backend is None:
            shared.say(missing)
        now = step(backend.now()) if backend else 0.0
        query = narrowed(parse(" ".join(words), now or time.time()), which)
        page = NONE
        if backend is not None:
            page = step(search(backend, query, before and before.lower(), limit, now))
    found = page.jobs
    if backend and not found and not shared.json:
        shared.say("no jobs")
    print_list(
        shared,
        jobs_told.FIELDS,
        [jobs_told.summary(job, now) for job in found],
        lambda: jobview.drawn(found, now),
    )
    if page.older and len(found) < limit:
        shared.say(f"examined {page.examined:,} of about {page.total:,} jobs, the newest first")
    if page.older:
        shared.hint(f"older ones: ropeway jobs ls --before {page.older}")


@jobs.command()
@click.argument("job", metavar="ID", shell_complete=job_ids)
@options(*LOOKING)
@click.pass_obj
def show(shared: Shared, job: str) -> None:
    """Show all that is kept of one job, and why it is not running.

    The start of its ID will do, if no other job's begins so.
    """
    with looking() as (backend, missing):
        handle = find_job(backend, missing, job)
        assert backend is not None  # else there is no such job
        progress = handle.snapshot().progress
        facts = step(gather(backend, handle.record()))
    shown = (facts.job, facts.now, why(facts), progress)
    if shared.json:
        print_json(jobs_told.whole(*shown))
    else:
        print_lines(page(*shown))


@jobs.command()
@click.argument("job", metavar="ID", shell_complete=job_ids)
@click.option("--wait", is_flag=True, help="Wait until the job has ended.")
@click.option("--follow", is_flag=True, help="Like --wait, and tell what happens on the way.")
@click.option(
    "--timeout",
    type=a_duration,
    metavar="DURATION",
    help="With --wait or --follow: how long at most.",
)
@options(*LOOKING)
@click.pass_obj
def result(shared: Shared, job: str, wait: bool, follow: bool, timeout: float | None) -> None:
    """Print what a job returned, as JSON.

    The start of its ID will do, if no other job's begins so.
    """
    if timeout is not None and not (wait or follow):
        raise click.UsageError("--timeout needs --wait or --follow")
    with looking() as (backend, missing):
        handle = find_job(backend, missing, job)
        if not (wait or follow) and not (state := handle.status()).final:
            raise ResultTimeout(f"job {handle.id} is {state}: no result yet", hint="add --wait")
        value = followed(handle, timeout, shared) if follow else handle.result(timeout)
    print_json(value)


for command in (logs, changes.cancel, changes.retry, changes.edit, changes.rm):
    jobs.add_command(command)
