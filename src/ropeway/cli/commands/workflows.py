"""`ropeway workflows`: look at runs of workflows, draw them, and change them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args

import click
import msgspec

from ropeway.cli.complete import run_ids
from ropeway.cli.groups import Suggesting
from ropeway.cli.listing import Drawn, print_list
from ropeway.cli.look import by_hand, changing, looking
from ropeway.cli.output import print_json, print_lines
from ropeway.cli.shared import LISTING, LOOKING, Shared, a_duration, options
from ropeway.cli.table import Cell, Column
from ropeway.errors import Refused, RunFailed
from ropeway.operate.runs import FIELDS, OnRuns, summary, whole
from ropeway.operate.source import Source
from ropeway.runs.drawing import ascii_lines, dot_lines, mermaid_lines, progress_line
from ropeway.runs.handle import Graph, Run
from ropeway.runs.listing import find, newest
from ropeway.runs.records import RunRecord, RunState
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.words import relative

_FORMATS: dict[str, Callable[[Graph], Iterator[str]]] = {
    "ascii": ascii_lines,
    "mermaid": mermaid_lines,
    "dot": dot_lines,
}


@click.group(cls=Suggesting)
@options(*LOOKING)
def workflows() -> None:
    """Look at runs of workflows and change them: ls, show, graph, watch, retry, cancel ..."""


@workflows.command()
@click.argument("workflow", required=False)
@click.option("--state", type=click.Choice(get_args(RunState)), help="Only runs that stand so.")
@click.option(
    "-n", "limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many."
)
@options(*LISTING)
@click.pass_obj
def ls(shared: Shared, workflow: str | None, state: RunState | None, limit: int) -> None:
    """List the newest runs, of WORKFLOW or of all."""
    found, now = list[RunRecord](), 0.0
    with looking() as (backend, missing):
        if backend is None:
            shared.say(missing)
        else:
            now = step(backend.now())
            found = step(newest(backend, limit, state=state, name=workflow))
    print_list(shared, FIELDS, [summary(run) for run in found], lambda: _drawn(found, now))


@workflows.command()
@click.argument("run", shell_complete=run_ids)
@options(*LOOKING)
@click.pass_obj
def show(shared: Shared, run: str) -> None:
    """Show one run: how far it is, and each of its nodes. RUN is an id, or the start of one."""
    with changing() as backend:
        graph = _handle(backend, run).graph()
    if shared.json:
        print_json(whole(graph))
        return
    lines = [f"run {graph.id}", progress_line(graph), "", *ascii_lines(graph)]
    print_lines("\n".join(lines))


@workflows.command()
@click.argument("run", shell_complete=run_ids)
@click.option(
    "--format",
    "form",
    type=click.Choice(tuple(_FORMATS)),
    default="ascii",
    show_default=True,
    help="For what it is drawn.",
)
@options(*LOOKING)
@click.pass_obj
def graph(shared: Shared, run: str, form: str) -> None:
    """Draw the graph of a run: for this terminal, for Mermaid, or for Graphviz (dot)."""
    with changing() as backend:
        print_lines("\n".join(_FORMATS[form](_handle(backend, run).graph())))


@workflows.command()
@click.argument("run", shell_complete=run_ids)
@click.option("--timeout", type=a_duration, metavar="DURATION", help="Exit with 8 after this.")
@options(*LOOKING)
@click.pass_obj
def watch(shared: Shared, run: str, timeout: float | None) -> None:
    """Print a line whenever a run has changed, up to its end; exit code 5 unless it succeeded."""
    with changing() as backend:
        handle = _handle(backend, run)
        for graph in handle.watch(timeout):
            if shared.json:
                print_json(whole(graph))
            else:
                print_lines(progress_line(graph))
        if handle.status() != "succeeded":
            handle.result(0)
            raise RunFailed(f"run {handle.id} {handle.status()}")


@workflows.command()
@click.argument("run", shell_complete=run_ids)
@click.option("--from", "from_node", metavar="NODE", help="Run this node again, and what follows.")
@options(*LOOKING)
@click.pass_obj
def retry(shared: Shared, run: str, from_node: str | None) -> None:
    """Have a run that has ended go on from what failed; what succeeded does not run again."""
    with _steering(run) as (runs, found):
        step(runs.retry(found, from_node))
    shared.say(f"run {found} goes on")


@workflows.command()
@click.argument("run", shell_complete=run_ids)
@options(*LOOKING)
@click.pass_obj
def cancel(shared: Shared, run: str) -> None:
    """Cancel a run: what waits never runs, what runs is interrupted."""
    with _steering(run) as (runs, found):
        if step(runs.cancel(found)) == "ended":
            raise Refused(f"run {found} had ended before")
    shared.say(f"run {found} is cancelled")


@workflows.command()
@click.argument("run", shell_complete=run_ids)
@options(*LOOKING)
@click.pass_obj
def pause(shared: Shared, run: str) -> None:
    """Have no further node of a run begin; what runs goes on."""
    with _steering(run) as (runs, found):
        if not step(runs.pause(found)):
            raise Refused(f"run {found} is not running")
    shared.say(f"run {found} is paused")


@workflows.command()
@click.argument("run", shell_complete=run_ids)
@options(*LOOKING)
@click.pass_obj
def resume(shared: Shared, run: str) -> None:
    """Have a paused run go on."""
    with _steering(run) as (runs, found):
        if not step(runs.resume(found)):
            raise Refused(f"run {found} is not paused")
    shared.say(f"run {found} goes on")


@workflows.command()
@click.argument("run", shell_complete=run_ids)
@click.argument("name")
@click.argument("value", default="true")
@options(*LOOKING)
@click.pass_obj
def signal(shared: Shared, run: str, name: str, value: str) -> None:
    """Tell a run the VALUE that it waits for by NAME: JSON, or else text; true if it is left out."""
    with _steering(run) as (runs, found):
        step(runs.signal(found, name, _value(value)))
    shared.say(f"run {found} was told {name}")


@contextmanager
def _steering(start: str) -> Iterator[tuple[OnRuns, str]]:
    """Give what changes runs on record, and the id of the run that is meant."""
    with changing() as backend:
        yield by_hand(backend).runs, step(find(backend, start)).id


def _handle(backend: Backend, start: str) -> Run[Any]:
    return Run(Source(backend), step(find(backend, start)).id)


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _drawn(runs: list[RunRecord], now: float) -> Drawn:
    """Return what a terminal shows of runs."""
    columns = [
        Column(heading="RUN"),
        Column(heading="WORKFLOW", least=8),
        Column(heading="STATE"),
        Column(heading="NODES", right=True, optional=1),
        Column(heading="SENT", optional=2),
    ]
    rows = [
        [run.id, run.name, run.state, str(run.nodes), relative(now - run.created)] for run in runs
    ]
    styles = {"succeeded": "green", "failed": "red", "running": "yellow"}
    return Drawn(columns, rows, [Cell("●", styles.get(run.state, "dim")) for run in runs])
