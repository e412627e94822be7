"""`ropeway worker`: run tasks until told to stop."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from ropeway.cli.shared import Shared, a_duration, a_resource, a_size, options
from ropeway.worker.logs import FORMAT, FORMATS, Format, set_up

if TYPE_CHECKING:
    from ropeway.worker.options import WorkerOptions

# One child has 4,096 places for both kinds, and holds a little more work than it has slots.
_MOST_LOOP_SLOTS, _MOST_THREADS = 3_000, 1_000


def _queues(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...] | None:
    names = [name.strip() for text in value for name in text.split(",")]
    if "" in names:
        raise click.BadParameter("a name is empty", ctx, param)
    return tuple(dict.fromkeys(names)) or None


def _scale(children: int | None, least: int | None, most: int | None) -> dict[str, int]:
    if least is None and most is None:
        return {}
    if children is not None:
        raise click.UsageError("--children is a fixed number: it goes with neither --min nor --max")
    least, most = least or 1, most or max(least or 1, os.cpu_count() or 1)
    if least > most:
        raise click.UsageError(f"--min {least} is more than --max {most}")
    return {"least": least, "most": most}


@click.command()
@click.argument("target", metavar="[APP]", required=False)
@click.option(
    "-Q",
    "--queues",
    multiple=True,
    metavar="NAMES",
    callback=_queues,
    help="Serve only these queues: a,mail.*. Default: every queue there is.",
)
@click.option(
    "--children", type=click.IntRange(min=1), help="Child processes. Default: one for each core."
)
@click.option(
    "--min",
    "least",
    type=click.IntRange(min=1),
    help="Child processes at least; their number follows the load. Default, with --max: 1.",
)
@click.option(
    "--max",
    "most",
    type=click.IntRange(min=1),
    help="Child processes at most. Default, with --min: one for each core.",
)
@click.option(
    "--loop-slots",
    type=click.IntRange(1, _MOST_LOOP_SLOTS),
    default=100,
    show_default=True,
    help="Async tasks that a child runs at once.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, _MOST_THREADS),
    default=8,
    show_default=True,
    help="Plain tasks that a child runs at once.",
)
@click.option(
    "--cpu",
    type=click.IntRange(min=1),
    help="Further child processes, each for one cpu=True task at a time. Default: one for each core.",
)
@click.option(
    "--offer",
    "offers",
    multiple=True,
    type=a_resource,
    metavar="NAME=AMOUNT",
    help="Run calls that need this, so many at once: gpu=2. May be given again.",
)
@click.option(
    "--supervisors",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Supervisors, each with children of its own: for machines with many cores.",
)
@click.option(
    "--recycle-calls",
    type=click.IntRange(min=1),
    help="Replace a child after so many calls. Default: never.",
)
@click.option(
    "--recycle-age",
    type=a_duration,
    metavar="DURATION",
    help="Replace a child after so long: 12h. Default: never.",
)
@click.option(
    "--max-memory",
    type=a_size,
    metavar="SIZE",
    help="Replace a child that takes more memory than this: 512MB. Default: never.",
)
@click.option(
    "--health-port",
    type=click.IntRange(1, 65_535),
    help="Answer GET /live and /ready on this port.",
)
@click.option(
    "--health-host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="With --health-port: where to listen.",
)
@click.option(
    "--health-file",
    type=click.Path(dir_okay=False),
    help="Write to this file, every second, how the worker is: see workers check.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Default: info; with -q warning, with -v debug.",
)
@click.option(
    "--log-format",
    type=click.Choice(FORMATS),
    envvar=FORMAT,
    help="Default: pretty on a terminal, json elsewhere; also ROPEWAY_LOG_FORMAT.",
)
@options("app", "url", "context", "quiet", "verbose", "no_color")
@click.pass_obj
def worker(
    shared: Shared,
    target: str | None,
    queues: tuple[str, ...] | None,
    children: int | None,
    least: int | None,
    most: int | None,
    loop_slots: int,
    threads: int,
    cpu: int | None,
    offers: tuple[tuple[str, int], ...],
    supervisors: int,
    recycle_calls: int | None,
    recycle_age: float | None,
    max_memory: int | None,
    health_port: int | None,
    health_host: str,
    health_file: str | None,
    log_level: str | None,
    log_format: Format | None,
) -> int:
    """Run tasks until told to stop.

    APP is a module, module:attribute or file; without it the app is looked for. The first SIGTERM
    or Ctrl-C lets running jobs finish, a second one, or SIGQUIT, gives them back at once.
    """
    from ropeway.worker.limits import Wear
    from ropeway.worker.locate import choose_target
    from ropeway.worker.options import WorkerOptions
    from ropeway.worker.parent import run_supervisors
    from ropeway.worker.supervisor import run_worker

    if target and shared.app and target != shared.app:
        raise click.UsageError(f"two apps are given: {target} and --app {shared.app}")
    quieter = "warning" if shared.quiet else "info"
    set_up(log_level or ("debug" if shared.verbose else quieter), log_format)
    made = WorkerOptions(
        target=choose_target(target or shared.app),
        queues=queues,
        children=children or 0,
        **_scale(children, least, most),
        loop_slots=loop_slots,
        thread_slots=threads,
        cpu=cpu or 0,
        offers=offers,
        wear=Wear(calls=recycle_calls, age=recycle_age, memory=max_memory),
        health_host=health_host,
        health_port=health_port,
        health_file=health_file,
    )
    if supervisors == 1:
        return run_worker(made)
    _refuse_for_several(made)
    return run_supervisors(made, supervisors)


def _refuse_for_several(options: WorkerOptions) -> None:
    if options.offers:
        raise click.UsageError(
            "each of several supervisors would offer it all: run several workers instead"
        )
    if options.health_port or options.health_file:
        raise click.UsageError(
            "--health-port and --health-file tell of one supervisor: run several workers instead"
        )
