"""`ropeway workers`: look at the workers of a database, and tell them what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click

from ropeway.cli import workerview
from ropeway.cli.complete import worker_names
from ropeway.cli.groups import Suggesting
from ropeway.cli.listing import print_list
from ropeway.cli.look import by_hand, changing, looking
from ropeway.cli.output import print_json, print_lines
from ropeway.cli.shared import LISTING, LOOKING, Shared, a_duration, options
from ropeway.control import WorkerRecord, Workers
from ropeway.operate import worker as workers_told
from ropeway.operate.operator import WorkerVerb
from ropeway.operate.source import Source
from ropeway.stepping import step

F = TypeVar("F", bound=Callable[..., object])


def _telling(function: F) -> F:
    """Give a command the workers to tell, and how long to wait for their answers."""
    which = click.argument("names", metavar="WORKER...", nargs=-1, shell_complete=worker_names)
    everyone = click.option("--all", "everyone", is_flag=True, help="Every worker there is.")
    wait = click.option(
        "--timeout",
        type=a_duration,
        default="10s",
        metavar="DURATION",
        help="How long to wait for each answer. Default: 10s.",
    )
    return which(everyone(wait(function)))


@click.group(cls=Suggesting)
@options(*LOOKING)
def workers() -> None:
    """Look at workers, and tell them what to do: ls, show, quiet, resume, stop, stack, check.

    WORKER is the name of a worker, or its start if no other worker's name begins so.
    """


@workers.command()
@options(*LISTING)
@click.pass_obj
def ls(shared: Shared) -> None:
    """List the workers that run, or have died in the last 30 seconds.

    BUSY is how many calls they hold, of how many they run at once; CODE differs between versions
    of the app's code; HEARD is when the worker last wrote down how it is.
    """
    found: list[WorkerRecord] = []
    now = 0.0
    with looking() as (backend, missing):
        if backend is None:
            shared.say(missing)
        else:
            now, found = step(backend.now()), Workers(Source(backend)).ls()
            if not found and not shared.json:
                shared.say("no worker runs")
    print_list(
        shared,
        workers_told.FIELDS,
        [workers_told.summary(worker) for worker in found],
        lambda: workerview.drawn(found, now),
    )
    for remark in workers_told.remarks(found, now):
        shared.hint(remark)


@workers.command()
@click.argument("name", metavar="WORKER", shell_complete=worker_names)
@options(*LOOKING)
@click.pass_obj
def show(shared: Shared, name: str) -> None:
    """Show one worker: what it does and why, its code, its tasks."""
    with changing() as backend:
        known = Workers(Source(backend))
        worker, others, now = known.get(name), known.ls(), step(backend.now())
    if shared.json:
        print_json(workers_told.summary(worker))
    else:
        print_lines(workerview.page(worker, others, now))


@workers.command()
@_telling
@options(*LOOKING)
@click.pass_obj
def quiet(shared: Shared, names: Sequence[str], everyone: bool, timeout: float) -> None:
    """Have workers claim nothing more; what they hold is finished, and they stay.

    When a worker has answered it has no claim on its way. SIGTSTP does the same.
    """
    _tell(shared, names, everyone, "quiet", "quiet", timeout)


@workers.command()
@_telling
@options(*LOOKING)
@click.pass_obj
def resume(shared: Shared, names: Sequence[str], everyone: bool, timeout: float) -> None:
    """Have quiet workers claim again. SIGCONT does the same."""
    _tell(shared, names, everyone, "claims", "resume", timeout)


@workers.command()
@click.option("--now", is_flag=True, help="Give running jobs back at once, as SIGQUIT does.")
@_telling
@options(*LOOKING)
@click.pass_obj
def stop(shared: Shared, names: Sequence[str], everyone: bool, timeout: float, now: bool) -> None:
    """Have workers end: what runs is finished, for at most the setting `grace`.

    The same as SIGTERM: told a second time they do not wait. A service manager may start them again.
    """
    said = "ends now" if now else "ends when its jobs have"
    _tell(shared, names, everyone, said, "stop_now" if now else "stop", timeout)


@workers.command()
@click.argument("name", metavar="WORKER", shell_complete=worker_names)
@click.option(
    "--timeout",
    type=a_duration,
    default="10s",
    metavar="DURATION",
    help="How long to wait for the answer. Default: 10s.",
)
@options(*LOOKING)
@click.pass_obj
def stack(shared: Shared, name: str, timeout: float) -> None:
    """Show what every thread and coroutine of a worker and its children is doing, with the jobs.

    SIGUSR1 writes the same to the worker's log.
    """
    with changing() as backend:
        text = step(by_hand(backend).tell(name, "stack", timeout))
    if shared.json:
        print_json({"stack": text})
    else:
        print_lines(text.rstrip("\n"))


@workers.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--live", is_flag=True, help="Being alive is enough: do not ask whether it consumes.")
@click.option(
    "--max-age",
    type=a_duration,
    default="10s",
    metavar="DURATION",
    help="A file that is older was left behind. Default: 10s.",
)
@options("quiet")
@click.pass_obj
def check(shared: Shared, file: Path, live: bool, max_age: float) -> int:
    """Tell by its health file whether a worker on this machine is well: a probe for containers.

    FILE is what the worker was given as --health-file. The exit code is 0 while the worker consumes,
    else 1, with the reason. The database is not looked at.
    """
    from ropeway.worker.healthfile import judge

    fault = judge(file, oldest=max_age, alive=live)
    if fault:
        shared.say(fault)
    return 1 if fault else 0


def _tell(
    shared: Shared,
    names: Sequence[str],
    everyone: bool,
    said: str,
    verb: WorkerVerb,
    timeout: float,
) -> None:
    if everyone == bool(names):
        raise click.UsageError("name the workers, or write --all")
    with changing() as backend:
        known = Workers(Source(backend))
        # Before any is told: one that is not there, or not clear, leaves the others alone.
        chosen = known.ls() if everyone else [known.get(name) for name in names]
        holders = list(dict.fromkeys(worker.holder for worker in chosen))
        for holder in holders:
            step(by_hand(backend).tell(holder, verb, timeout))
            shared.say(f"{holder} {said}")
    if shared.json:
        print_json(holders)
