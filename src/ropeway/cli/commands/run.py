"""`ropeway run`: send one call of a task, and wait for its result if asked to."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ropeway.capabilities import require
from ropeway.cli.apps import find_task, import_app
from ropeway.cli.arguments import NAMED, parse
from ropeway.cli.complete import task_names
from ropeway.cli.following import followed
from ropeway.cli.output import print_json
from ropeway.cli.shared import Shared, a_duration, options
from ropeway.cli.timing import a_date
from ropeway.errors import ResultTimeout, TaskFailed
from ropeway.stepping import step
from ropeway.words import duration
from ropeway.worker.locate import choose_target

if TYPE_CHECKING:
    from ropeway.app import Ropeway
    from ropeway.results import Job

_NO_NEWS = {"running", "ended", "soon", "later"}
PATIENCE = 2.0
"""Seconds after which a call that is due and that nobody has taken is worth a word."""

_FOR_EVER = 10 * 365 * 86_400.0

_GUARD = "\0"  # cannot be on a command line


def a_word(text: str) -> str:
    """Take off what `Run` put on a word."""
    return text.removeprefix(_GUARD)


def named_values(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """See that each of the values has a name in front."""
    for text in values:
        if not NAMED.fullmatch(text):
            raise click.BadParameter(f"{text!r} has no name; write --arg x=1", ctx, param)
    return values


class Run(click.Command):
    """A command for which -2 and -.5 are numbers, not options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Hide negative numbers from the parser, unless they are the value of an option."""
        taking = {
            name
            for param in self.params
            if isinstance(param, click.Option) and not param.is_flag
            for name in param.opts
        }
        guarded = [
            _GUARD + word if _is_negative(word) and before not in taking else word
            for before, word in zip(["", *args], args, strict=False)
        ]
        return super().parse_args(ctx, guarded)


def _is_negative(word: str) -> bool:
    return word[:1] == "-" and word[1:2] in set(".0123456789")


@click.command(cls=Run)
@click.argument("task", type=a_word, metavar="TASK", shell_complete=task_names)
@click.argument("arguments", nargs=-1, type=a_word, metavar="[ARGUMENTS]...")
@click.option(
    "--arg",
    "named",
    multiple=True,
    metavar="NAME=VALUE",
    callback=named_values,
    help="An argument by name; may be repeated.",
)
@click.option("--json-args", metavar="OBJECT", help="More arguments: '{\"x\": 1}'.")
@click.option("--queue", help="Send to this queue instead of the task's own.")
@click.option("--priority", type=click.IntRange(0, 9), help="0 to 9; 9 is claimed first.")
@click.option(
    "--delay", type=a_duration, metavar="DURATION", help="Run it this much later: 90s, 5m."
)
@click.option("--at", type=a_date, metavar="DATE", help="Run it at this date: 2030-01-31T09:00Z.")
@click.option("--key", help="Calls of one key run one at a time, in order.")
@click.option("--unique", is_flag=True, help="Send nothing if such a job waits or runs.")
@click.option("--wait", is_flag=True, help="Wait, and print the result as JSON.")
@click.option(
    "--timeout",
    type=a_duration,
    metavar="DURATION",
    help="With --wait or --follow: how long at most.",
)
@click.option("--follow", is_flag=True, help="Like --wait, and tell what happens on the way.")
@click.option("--local", is_flag=True, help="Run it here and now, and send nothing.")
@options()
@click.pass_obj
def run(
    shared: Shared,
    /,
    task: str,
    arguments: tuple[str, ...],
    named: tuple[str, ...],
    json_args: str | None,
    wait: bool,
    timeout: float | None,
    follow: bool,
    local: bool,
    **using: Any,
) -> None:
    """Send one call of a task.

    TASK is its name, or the end of it: add for tasks.add. Each of ARGUMENTS is a value or
    name=value: text where the task takes text, otherwise JSON. Prints the id of the job.
    """
    if timeout is not None and not (wait or follow):
        raise click.UsageError("--timeout needs --wait or --follow")
    if using["delay"] is not None and using["at"] is not None:
        raise click.UsageError("--delay and --at exclude each other")
    if local and (wait or follow):
        raise click.UsageError("--local waits by itself: leave out --wait and --follow")
    target = choose_target(shared.app)
    app = import_app(target)
    found = find_task(app.tasks, task, target)
    args, kwargs = parse(found.definition, (*arguments, *named), json_args)
    sender = found.using(**(using | {"unique": using["unique"] or None}))
    if local:
        print_json(_here(app, lambda: sender.send(*args, **kwargs), shared))
        return
    require(app.connection.blocking().capabilities, "shared", "ropeway run")
    try:
        job_id = sender.send(*args, **kwargs).id
        if follow:
            shared.say(f"job {job_id}")
            print_json(followed(app.job(job_id), timeout, shared))
        elif wait:
            shared.say(f"job {job_id}")
            print_json(_result(app, job_id, timeout, shared, target))
        elif shared.json:
            print_json({"id": job_id})
        else:
            print(job_id)
    finally:
        step(app.connection.blocking().close())


def _here(app: Ropeway, send: Callable[[], Job[Any]], shared: Shared) -> Any:
    """Run the call in this process, on memory; what it prints is talk."""
    try:
        with contextlib.redirect_stdout(sys.stderr), app.testing(patience=_FOR_EVER):
            return send().result()
    except TaskFailed as error:
        if error.traceback and not shared.verbose:  # with -v it is shown with the error
            shared.say(error.traceback.rstrip())
        raise


def _result(app: Ropeway, job_id: str, timeout: float | None, shared: Shared, target: str) -> Any:
    """Wait for the result; say why when it does not begin."""
    job = app.job(job_id)
    now = app.connection.blocking().now
    patience = PATIENCE + max(0.0, step(job.arecord()).due - step(now()))
    first = patience if timeout is None else min(patience, timeout)
    try:
        return job.result(first)
    except ResultTimeout:
        answer = job.why()
    if answer.reason not in _NO_NEWS:
        start = f"ropeway worker {shlex.quote(target)}"
        mend = start if answer.reason == "no_worker" else answer.command
        more = f"; see: {mend}" if mend else ""
        shared.say(f"not started in {duration(first)}: {answer.says}{more}")
    try:
        return job.result(None if timeout is None else timeout - first)
    except ResultTimeout:
        raise ResultTimeout(
            f"job {job_id} is {job.status()} after {duration(timeout)}",
            hint=f"it stays; to wait again: ropeway jobs result {job_id} --wait",
        ) from None
