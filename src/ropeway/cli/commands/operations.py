"""`ropeway operations`: changes of many jobs that go on by themselves: look at them, stop and resume them."""

from __future__ import annotations

from typing import Any

import click

from ropeway.cli.groups import Suggesting
from ropeway.cli.listing import Drawn, print_list
from ropeway.cli.look import changing, looking
from ropeway.cli.output import print_json
from ropeway.cli.shared import LISTING, LOOKING, Shared, options
from ropeway.cli.table import Column
from ropeway.config import load
from ropeway.operate.operations import Operation, carry, operation, stop, summary, take_over
from ropeway.operate.operations import operations as newest
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.who import who
from ropeway.words import NOTHING, several

FIELDS = (
    "id",
    "action",
    "q",
    "by",
    "via",
    "why",
    "begun",
    "heard",
    "state",
    "expected",
    "most",
    "found",
    "done",
    "skipped",
    "sample",
    "stopped_by",
)

_COLUMNS = (
    Column(heading="ID"),
    Column(heading="STATE"),
    Column(heading="ACTION"),
    Column(heading="SEARCH", least=12),
    Column(heading="DONE", right=True),
    Column(heading="BY", least=8, optional=1),
)


@click.group(cls=Suggesting)
@options(*LOOKING)
def operations() -> None:
    """Look at changes of many jobs that go on in a dashboard: ls, show, stop, resume."""


@operations.command()
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many."
)
@options(*LISTING)
@click.pass_obj
def ls(shared: Shared, limit: int) -> None:
    """List the operations of the last 7 days, newest first.

    "silent" is one whose process has told nothing for 15 seconds: it is gone, and the operation can be resumed.
    """
    found: list[dict[str, Any]] = []
    with looking() as (backend, missing):
        if backend is None:
            shared.say(missing)
        else:
            now = step(backend.now())
            found = [summary(each, now) for each in step(newest(backend, limit))]
    print_list(
        shared,
        FIELDS,
        found,
        lambda: Drawn(_COLUMNS, list(map(_row, found))),
    )


@operations.command()
@click.argument("name", metavar="OPERATION")
@options(*LOOKING)
@click.pass_obj
def show(shared: Shared, name: str) -> None:
    """Show how far one operation is."""
    with changing() as backend:
        _print(shared, backend, step(operation(backend, name)))


@operations.command("stop")
@click.argument("name", metavar="OPERATION")
@options(*LOOKING)
@click.pass_obj
def stop_it(shared: Shared, name: str) -> None:
    """Have an operation stop after the batch that it is at, wherever it goes on."""
    with changing() as backend:
        step(stop(backend, name, by=who(), via="cli"))
    shared.say(f"{name} stops")


@operations.command()
@click.argument("name", metavar="OPERATION")
@options(*LOOKING)
@click.pass_obj
def resume(shared: Shared, name: str) -> None:
    """Go on here with an operation that was stopped, or whose process is gone.

    Ctrl-C leaves it silent: it can be resumed again.

    What it has done is not done again.
    """
    with changing() as backend:
        mine = step(take_over(backend, name, by=who(), via="cli"))
        _print(shared, backend, step(carry(backend, load({}), mine, lambda: False)))


def _print(shared: Shared, backend: Backend, found: Operation) -> None:
    told = summary(found, step(backend.now()))
    if shared.json:
        print_json(told)
        return
    print(f"{told['state']}: {told['action']} of {told['q'] or 'all jobs'}, by {told['by']}")
    of = f"of {max(found.expected, found.found):,}" if found.is_counted else "so far"
    print(f"{several(found.done)} {of}")
    for reason, number in found.skipped.items():
        print(f"{number} left: {reason}")


def _row(told: dict[str, Any]) -> list[str]:
    return [
        told["id"],
        told["state"],
        told["action"],
        told["q"] or NOTHING,
        str(told["done"]),
        told["by"],
    ]
