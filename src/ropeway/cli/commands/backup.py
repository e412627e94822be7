"""`ropeway backup` and `ropeway restore`: copies of the embedded database."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import msgspec

from ropeway.cli.confirm import confirm
from ropeway.cli.look import database_file, exists
from ropeway.cli.output import on_terminal, print_json
from ropeway.cli.shared import LOOKING, Shared, options
from ropeway.config import load
from ropeway.errors import BackendUnavailable, Unsupported
from ropeway.safe import masked
from ropeway.words import several


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there.")
@options(*LOOKING)
@click.pass_obj
def backup(shared: Shared, file: Path, overwrite: bool) -> None:
    """Copy the database to FILE while workers run.

    The copy is what the database is at one instant. FILE appears when the copy is on the disk and
    its integrity is checked. Prints where it is.
    """
    from ropeway.backends.sqlite.backup import backup as copy

    database = _database("backup")
    if not exists(database):
        raise BackendUnavailable(f"there is no database at {database}", hint="see --url")
    bar = sys.stderr.isatty() and not shared.quiet and not os.environ.get("CI")

    def progress(done: int, pages: int) -> None:
        if bar and pages:
            print(f"\r{done * 100 // pages:3} % of {pages:,} pages", end="", file=sys.stderr)

    made = copy(database, file, progress, overwrite=overwrite)
    if bar:
        print("\r\x1b[K", end="", file=sys.stderr)
    if shared.json:
        print_json(msgspec.to_builtins(made))
    elif on_terminal():
        print(f"{made.file}: {several(made.jobs)}, {made.bytes / 2**20:,.1f} MiB")
    else:
        print(made.file)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options(*LOOKING)
@click.pass_obj
def restore(shared: Shared, file: Path, yes: bool) -> None:
    """Put the copy FILE in the place of the database.

    Refused while any process has the database open: stop the workers and the programs that send.
    The database that was there is kept beside it under another name. Jobs that ended after the
    copy was made are as they were then, so they may run again.
    """
    from ropeway.backends.sqlite.backup import inspect
    from ropeway.backends.sqlite.backup import restore as put_back

    database = _database("restore")
    found = inspect(file)
    if exists(database):
        confirm(f"replace {database} by {file}, which holds {several(found.jobs)}", yes=yes)
    aside = put_back(file, database)
    if shared.json:
        told = {"database": str(database), "jobs": found.jobs}
        print_json({**told, "replaced": str(aside) if aside else None})
        return
    print(database)
    if aside:
        shared.say(f"the database that was there is {aside} now")


def _database(command: str) -> Path:
    settings = load({})
    path = database_file(settings)
    if path is None:
        raise Unsupported(
            f"ropeway {command} is for the embedded database, and the url is "
            f"{masked(settings.url)}",
            hint="use the tools of that server",
        )
    return path
