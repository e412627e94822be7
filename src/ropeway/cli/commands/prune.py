"""`ropeway prune`: remove what need not be kept, where no worker does it or sooner than it would."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ropeway.blobs import sweep
from ropeway.claims import MAX_BATCH
from ropeway.cli.confirm import confirm
from ropeway.cli.look import changing
from ropeway.cli.output import print_json
from ropeway.cli.shared import LOOKING, Shared, a_duration, confirmable, options
from ropeway.config import load
from ropeway.decide import Keep
from ropeway.states import FINAL, State
from ropeway.stepping import step
from ropeway.store import Backend, Filter
from ropeway.transition import Remove, Transition

_BATCH = 20_000


@click.command()
@click.option(
    "--older-than",
    type=a_duration,
    metavar="DURATION",
    help="Also settled jobs that were sent longer ago, whatever the settings say.",
)
@click.option(
    "--state",
    type=click.Choice([state.value for state in State if state.final]),
    help="With --older-than: only these.",
)
@confirmable
@options(*LOOKING)
@click.pass_obj
def prune(
    shared: Shared, older_than: float | None, state: str | None, dry_run: bool, yes: bool
) -> None:
    """Remove what need not be kept.

    That is what every running worker removes by itself, by the settings keep, keep_failed and
    keep_count. Prints how many records were removed, or ended because their time was over.
    """
    if state and older_than is None:
        raise click.UsageError("--state needs --older-than")
    if dry_run and older_than is None:
        raise click.UsageError("--dry-run needs --older-than: nobody counts what workers remove")
    states = [State(state)] if state else sorted(FINAL)
    with changing() as backend:
        found = _old(backend, older_than, states) if older_than is not None else iter(())
        if dry_run:
            removed = sum(map(len, found))
        else:
            if older_than is not None:
                confirm("remove settled jobs and their results for good", yes=yes)
            removed = sum(_remove(backend, ids) for ids in found) + _regular(backend)
    if shared.json:
        print_json({"removed": 0 if dry_run else removed, "found": removed})
    else:
        print(removed)


def _regular(backend: Backend) -> int:
    settings = load({})
    keep = Keep(settings.keep, settings.keep_failed, settings.keep_count)
    changed = 0
    while (batch := step(backend.prune(keep, _BATCH))) > 0:
        changed += batch
    step(sweep(backend))
    return changed


def _old(backend: Backend, age: float, states: list[State]) -> Iterator[list[str]]:
    """Yield the ids of settled jobs that were sent longer ago than `age`, some at a time."""
    until = step(backend.now()) - age
    for state in states:
        before: str | None = None
        which = Filter(state=state, until=until)
        while True:
            page = step(backend.search(which, before, MAX_BATCH))
            if page.jobs:
                yield [job.message.id for job in page.jobs]
            before = page.older
            if before is None:
                break


def _remove(backend: Backend, ids: list[str]) -> int:
    # One that was revived meanwhile is refused, and stays.
    answers = step(backend.commit([Transition(remove=(Remove(job_id),)) for job_id in ids]))
    return sum(answer.ok for answer in answers)
