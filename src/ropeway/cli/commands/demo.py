"""`ropeway demo`: see it work."""

from __future__ import annotations

import click

from ropeway.cli.shared import Shared, options


@click.command()
@click.option("--sabotage", is_flag=True, help="Change one answer, so that the check must fail.")
@click.option(
    "--children",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Child processes of the worker.",
)
@click.option("--plain", is_flag=True, help="Plain lines, as when it is piped.")
@options("no_color")
@click.pass_obj
def demo(shared: Shared, sabotage: bool, children: int, plain: bool) -> int:
    """Watch a worker lose a child and lose no job.

    Sends thousands of calls, starts a worker, kills one of its children half-way, and checks
    every answer. Everything happens in .ropeway/demo of this directory.
    """
    from ropeway.cli.demo.runner import run_demo

    return run_demo(sabotage=sabotage, children=children, plain=plain)
