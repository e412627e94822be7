"""`ropeway dev`: a worker that is replaced whenever the code changes."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ropeway.cli.shared import Shared, options
from ropeway.config import load, project_directory


@click.command()
@click.argument("target", metavar="[APP]", required=False)
@click.option("-Q", "--queues", metavar="NAMES", help="Serve only these queues: a,b.")
@click.option(
    "--children",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Child processes of the worker.",
)
@click.option("--no-reload", is_flag=True, help="Do not watch files.")
@click.option(
    "--watch",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    help="Watch this folder too; may be repeated.",
)
@click.option("--dashboard", is_flag=True, help="Serve the dashboard too, and print its link.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8742,
    show_default=True,
    help="Of the dashboard; 0 is any.",
)
@options("app", "url", "context", "quiet", "verbose", "no_color")
@click.pass_obj
def dev(
    shared: Shared,
    target: str | None,
    queues: str | None,
    children: int,
    no_reload: bool,
    watch: tuple[Path, ...],
    dashboard: bool,
    port: int,
) -> int:
    """Run a worker, and replace it whenever a file is saved.

    APP is a module, module:attribute or file; without it the app is looked for. The new worker
    starts before the old one ends, which finishes its jobs. What cannot be imported is shown, and
    the old worker goes on. Ctrl-C ends it all, a second one gives running jobs back at once.
    """
    from ropeway.cli.dev.dashboard import DevDashboard
    from ropeway.cli.dev.runner import Dev
    from ropeway.cli.dev.watch import Watch
    from ropeway.worker.locate import choose_target

    if target and shared.app and target != shared.app:
        raise click.UsageError(f"two apps are given: {target} and --app {shared.app}")
    target = choose_target(target or shared.app)
    shared.say(f"app {target} · {load({}).where}")
    words = ["--children", str(children)]
    words += [] if os.environ.get("ROPEWAY_LOG_FORMAT") else ["--log-format", "pretty"]
    words += ["--queues", queues] if queues else []
    words += ["--quiet"] if shared.quiet else []
    words += ["--verbose"] if shared.verbose else []
    folders = {Path.cwd(), project_directory(), *watch}
    files = None if no_reload else Watch(sorted(_outermost(folders)))
    beside = DevDashboard(target, port, shared.say) if dashboard else None
    return Dev(target, words, files, shared.say, beside).run()


def _outermost(folders: set[Path]) -> set[Path]:
    """Leave out folders that are inside of others."""
    whole = {folder.resolve() for folder in folders}
    return {each for each in whole if not any(each.is_relative_to(o) for o in whole - {each})}
