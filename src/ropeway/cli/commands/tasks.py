"""`ropeway tasks`: look at the functions that an app has registered."""

from __future__ import annotations

import inspect
from typing import Any

import click

from ropeway.cli.apps import import_app
from ropeway.cli.groups import Suggesting
from ropeway.cli.listing import Drawn, print_list
from ropeway.cli.output import print_json
from ropeway.cli.shared import Shared, options
from ropeway.cli.table import Column
from ropeway.task import Task
from ropeway.words import NOTHING, duration
from ropeway.worker.locate import choose_target

FIELDS = (
    "name",
    "signature",
    "kind",
    "queue",
    "priority",
    "retries",
    "timeout_seconds",
    "digest",
    "description",
)

_COLUMNS = (
    Column(heading="TASK", least=16),
    Column(heading="RUNS ON"),
    Column(heading="QUEUE", least=8),
    Column(heading="PRIORITY", right=True, optional=2),
    Column(heading="RETRIES", right=True, optional=1),
    Column(heading="TIMEOUT", right=True),
)
_RUNS_ON = {"loop": "event loop", "threads": "thread", "cpu": "process"}


@click.group(cls=Suggesting)
@options()
def tasks() -> None:
    """Look at registered functions: ls."""


@tasks.command()
@click.argument("target", metavar="[APP]", required=False)
@click.option("--signature", is_flag=True, help="Show what they take and return instead.")
@click.option("--json-schema", is_flag=True, help="Print the JSON schemas of their arguments.")
@options()
@click.pass_obj
def ls(shared: Shared, target: str | None, signature: bool, json_schema: bool) -> None:
    """List the tasks of an app, which is imported for that.

    APP is a module, module:attribute or file; without it the app is looked for.
    """
    if target and shared.app and target != shared.app:
        raise click.UsageError(f"two apps are given: {target} and --app {shared.app}")
    target = choose_target(target or shared.app)
    found = [task for _, task in sorted(import_app(target).tasks.items())]
    if json_schema:
        print_json({task.name: task.definition.signature.schema() for task in found})
        return
    if not found and not shared.json:
        shared.say(f"{target} has no tasks: decorate a function with @app.task")
    draw = _signatures if signature else _table
    print_list(shared, FIELDS, [summary(task) for task in found], lambda: draw(found))


def summary(task: Task[..., Any]) -> dict[str, Any]:
    """Return a task for JSON."""
    definition, options = task.definition, task.options
    return {
        "name": task.name,
        "signature": definition.signature.text,
        "kind": definition.kind,
        "queue": options.queue,
        "priority": options.band,
        "retries": definition.policy.retries,
        "timeout_seconds": definition.terms.timeout,
        "digest": definition.signature.digest,
        "description": (inspect.getdoc(definition.function) or "").partition("\n")[0],
    }


def _table(tasks: list[Task[..., Any]]) -> Drawn:
    rows = []
    for task in tasks:
        told = summary(task)
        timeout = told["timeout_seconds"]
        rows.append(
            [
                task.name,
                _RUNS_ON.get(told["kind"], told["kind"]),
                told["queue"],
                str(told["priority"]),
                str(told["retries"]),
                NOTHING if timeout is None else duration(timeout),
            ]
        )
    return Drawn(_COLUMNS, rows)


def _signatures(tasks: list[Task[..., Any]]) -> Drawn:
    columns = (
        Column(heading="TASK"),
        Column(heading="SIGNATURE"),
        Column(heading="DESCRIPTION", least=12, optional=1),
    )
    told = [summary(task) for task in tasks]
    return Drawn(columns, [[t["name"], t["signature"], t["description"]] for t in told])
