"""`ropeway quarantine`: what cannot be run, by cause, and what to do about it."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from ropeway.blobs import load
from ropeway.bulk import removing, retrying
from ropeway.cli import causeview, jobview
from ropeway.cli.changing import Asked, change_all, choosing, chosen
from ropeway.cli.commands.changes import A_RATE, edit
from ropeway.cli.complete import job_ids
from ropeway.cli.find import find_job
from ropeway.cli.groups import Suggesting
from ropeway.cli.jobpage import page
from ropeway.cli.listing import print_list
from ropeway.cli.look import changing, looking
from ropeway.cli.output import on_terminal, print_json, print_lines
from ropeway.cli.searched import Searching, a_term, narrowed
from ropeway.cli.shared import LISTING, LOOKING, Shared, options
from ropeway.operate import cause as causes_told
from ropeway.operate import job as jobs_told
from ropeway.operate.finding import search
from ropeway.searching import Query, parse
from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import Causes, Filter, Found
from ropeway.why import gather, why

_STATES = (State.QUARANTINED,)
_A_SEARCH = click.argument("words", type=a_term, metavar="[SEARCH]...", nargs=-1)


@click.group(cls=Suggesting)
@options(*LOOKING)
def quarantine() -> None:
    """See to what cannot be run: ls, groups, show, edit, retry, rm.

    No app is imported. For jobs that failed there are jobs ls, retry and rm.
    """


@quarantine.command(cls=Searching)
@_A_SEARCH
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many."
)
@click.option("--before", metavar="ID", help="Only those sent before this job.")
@options(*LISTING)
@click.pass_obj
def ls(shared: Shared, words: tuple[str, ...], limit: int, before: str | None) -> None:
    """List the jobs in quarantine, newest first; SEARCH is that of jobs ls."""
    with looking() as (backend, missing):
        now = step(backend.now()) if backend else time.time()
        query = _query(words, now)
        found = Found(jobs=[])
        if backend is None:
            shared.say(missing)
        else:
            found = step(search(backend, query, before and before.lower(), limit, now))
    if not found.jobs and not shared.json:
        shared.say("nothing is in quarantine")
    records = [jobs_told.summary(job, now) for job in found.jobs]
    print_list(shared, jobs_told.FIELDS, records, lambda: jobview.drawn(found.jobs, now))
    if found.older:
        shared.hint(f"older ones: ropeway quarantine ls --before {found.older}")


@quarantine.command(cls=Searching)
@_A_SEARCH
@click.option(
    "--state",
    type=click.Choice([state.value for state in State if state.final and state != "succeeded"]),
    default=State.QUARANTINED.value,
    show_default=True,
    help="Those that ended so.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many."
)
@options(*LISTING)
@click.pass_obj
def groups(shared: Shared, words: tuple[str, ...], state: str, limit: int) -> None:
    """Group jobs by what they ended for, the largest groups first.

    The cause that is printed first can be searched for: error:CAUSE. SEARCH may name a task, a
    queue, an error's cause and a time.
    """
    with looking() as (backend, missing):
        now = step(backend.now()) if backend else time.time()
        query = narrowed(parse(" ".join(words), now), Filter(state=State(state)))
        if query.tests:
            raise click.UsageError("Groups are narrowed by task:, queue:, error:CAUSE and since:.")
        found = Causes(found=[])
        if backend is None:
            shared.say(missing)
        else:
            found = step(backend.causes(query.filter, limit))
    if not found.found and not shared.json:
        shared.say("nothing has ended so")
    records = [causes_told.summary(cause) for cause in found.found]
    print_list(shared, causes_told.FIELDS, records, lambda: causeview.drawn(found.found, now))
    if not found.whole:
        shared.say("there are more groups")
    first = next(filter(None, map(causes_told.fingerprint, found.found)), None)
    if first and state == State.QUARANTINED:
        shared.hint(f"to have them run again: ropeway quarantine retry --filter error:{first}")


@quarantine.command()
@click.argument("job", metavar="ID", shell_complete=job_ids)
@click.option("--raw", is_flag=True, help="Write the bytes of its arguments, and nothing else.")
@options(*LOOKING)
@click.pass_obj
def show(shared: Shared, job: str, raw: bool) -> None:
    """Show all that is kept of one job; the start of its ID will do."""
    with looking() as (backend, missing):
        record = find_job(backend, missing, job).record()
        assert backend is not None  # else there is no such job
        facts = step(gather(backend, record))
        body = step(load(backend, record.message.id, record.message.body)) if raw else b""
    shown = (record, facts.now, why(facts))
    if raw:
        if on_terminal():
            raise click.UsageError("--raw may write anything: send it to a file.")
        sys.stdout.buffer.write(body)
    elif shared.json:
        print_json(jobs_told.whole(*shown))
    else:
        print_lines(page(*shown))


@quarantine.command()
@choosing
@A_RATE
@options(*LOOKING)
@click.pass_obj
def retry(shared: Shared, /, rate: float | None, **asked: Any) -> None:
    """Have jobs in quarantine run again, under their ids and with all their retries.

    Prints how many. Jobs are named by the starts of their ids, or found by a search.
    """
    wanted = Asked(**asked)
    with changing() as backend:
        ids = chosen(backend, wanted, _STATES)
        plan = retrying(frozenset(_STATES), now=step(backend.now()), rate=rate)
        change_all(shared, backend, wanted, ids, "retry", plan)


@quarantine.command()
@choosing
@options(*LOOKING)
@click.pass_obj
def rm(shared: Shared, /, **asked: Any) -> None:
    """Forget jobs in quarantine for good.

    Prints how many. Jobs are named by the starts of their ids, or found by a search.
    """
    wanted = Asked(**asked)
    with changing() as backend:
        ids = chosen(backend, wanted, _STATES)
        change_all(shared, backend, wanted, ids, "remove", removing(frozenset(_STATES)))


quarantine.add_command(edit)


def _query(words: tuple[str, ...], now: float) -> Query:
    return narrowed(parse(" ".join(words), now), Filter(state=State.QUARANTINED))
