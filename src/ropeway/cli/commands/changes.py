"""What a person does to jobs: `ropeway jobs cancel`, `retry`, `rm` and `edit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

import click

from ropeway.bulk import cancelling, removing, retrying
from ropeway.cli.changing import Asked, a_rate, change_all, choosing, chosen
from ropeway.cli.complete import job_ids
from ropeway.cli.confirm import confirm
from ropeway.cli.editor import differences, edit_of, with_arguments
from ropeway.cli.find import find_job
from ropeway.cli.look import by_hand, changing
from ropeway.cli.output import print_json
from ropeway.cli.shared import LOOKING, Shared, a_duration, confirmable, options
from ropeway.config import load
from ropeway.errors import Refused
from ropeway.jobs import see
from ropeway.operate.operator import UNSUCCESSFUL
from ropeway.states import FINAL, State
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.words import several

A_RATE = click.option(
    "--rate", type=a_rate, metavar="RATE", help="Spread them out, such as 10/s or 500/h."
)


@click.command()
@choosing
@options(*LOOKING)
@click.pass_obj
def cancel(shared: Shared, /, **asked: Any) -> None:
    """Cancel jobs that wait, and ask the workers of those that run to stop them.

    Jobs are named by the starts of their ids, and it is printed what became of each: cancelled,
    asked, or ended before. Of those that a search finds it is printed how many.
    """
    wanted = Asked(**asked)
    with changing() as backend:
        ids = chosen(backend, wanted, (State.QUEUED, State.RUNNING))
        if wanted.words and not wanted.dry_run:
            _cancel_each(shared, backend, ids)
            return
        plan = cancelling(load({}).keep_failed)
        change_all(shared, backend, wanted, ids, "cancel", plan)


def _cancel_each(shared: Shared, backend: Backend, ids: Sequence[str]) -> None:
    operator = by_hand(backend)
    became = {job_id: step(operator.cancel(job_id)) for job_id in ids}
    if shared.json:
        print_json([{"id": job_id, "became": each} for job_id, each in became.items()])
    else:
        for job_id, each in became.items():
            print(f"{job_id}\t{each}")
    over = [job_id for job_id, each in became.items() if each == "ended"]
    if over:
        raise Refused(f"{several(len(over))} had ended before: {', '.join(over)}")


@click.command()
@choosing
@A_RATE
@click.option("--succeeded", is_flag=True, help="Also those that succeeded.")
@options(*LOOKING)
@click.pass_obj
def retry(shared: Shared, /, rate: float | None, succeeded: bool, **asked: Any) -> None:
    """Have jobs that have ended run again, under their ids and with all their retries.

    Prints how many. Jobs are named by the starts of their ids, or found by a search.
    """
    wanted = Asked(**asked)
    states = (*UNSUCCESSFUL, State.SUCCEEDED) if succeeded else UNSUCCESSFUL
    with changing() as backend:
        ids = chosen(backend, wanted, states)
        plan = retrying(frozenset(states), now=step(backend.now()), rate=rate)
        change_all(shared, backend, wanted, ids, "retry", plan)


@click.command()
@choosing
@options(*LOOKING)
@click.pass_obj
def rm(shared: Shared, /, **asked: Any) -> None:
    """Forget jobs that have ended, with their arguments, results and errors.

    Prints how many. Jobs are named by the starts of their ids, or found by a search.
    """
    wanted = Asked(**asked)
    with changing() as backend:
        ids = chosen(backend, wanted, (*UNSUCCESSFUL, State.SUCCEEDED))
        change_all(shared, backend, wanted, ids, "remove", removing(FINAL))


@click.command()
@click.argument("job", metavar="ID", shell_complete=job_ids)
@click.option("--args", metavar="JSON", help="All arguments, as a JSON object.")
@click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help="One argument.")
@click.option("--body", type=click.File("rb"), metavar="FILE", help="The bytes of a file.")
@click.option("--task", metavar="NAME", help="Another task.")
@click.option("--queue", metavar="NAME", help="Another queue.")
@click.option("--priority", type=click.IntRange(0, 9), metavar="0-9", help="Another priority.")
@click.option("--delay", type=a_duration, metavar="DURATION", help="Due so long from now.")
@confirmable
@options(*LOOKING)
@click.pass_obj
def edit(
    shared: Shared,
    /,
    job: str,
    args: str | None,
    sets: tuple[str, ...],
    body: IO[bytes] | None,
    delay: float | None,
    dry_run: bool,
    yes: bool,
    **plain: Any,
) -> None:
    """Put a job right: one that waits stays where it is, one that has ended runs again.

    Shows what changes, and asks. Arguments that do not fit are found out when it runs.
    """
    with changing() as backend:
        seen = step(see(backend, find_job(backend, "", job).id))
        due = None if delay is None else step(backend.now()) + delay
        content = body.read() if body else None
        whole = with_arguments(backend, seen.record)
        wanted = edit_of(whole, args, sets, content, due=due, **plain)
        lines = differences(whole, wanted)
        shared.say("\n".join(lines) or "nothing differs")
        again = seen.record.state.final
        if not dry_run:
            verb = "change it, and have it run again" if again else "change it"
            confirm(verb, yes=yes)
            step(by_hand(backend).edit(seen, wanted))
    if shared.json:
        job_id = seen.record.message.id
        print_json({"id": job_id, "changed": lines, "runs_again": again, "dry_run": dry_run})
    else:
        print(seen.record.message.id)
