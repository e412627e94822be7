"""`ropeway db`: the tables in a PostgreSQL database."""

from __future__ import annotations

from urllib.parse import urlsplit

import click
import msgspec

from ropeway.cli.confirm import confirm
from ropeway.cli.groups import Suggesting
from ropeway.cli.output import on_terminal, print_json
from ropeway.cli.shared import LOOKING, Shared, confirmable, options
from ropeway.config import load
from ropeway.connect import SCHEMES_OF_POSTGRES
from ropeway.errors import Unsupported

_TODO = {
    "missing": "the first send or worker makes it, or: ropeway db migrate",
    "behind": "bring it up to date: ropeway db migrate",
    "current": "",
    "newer": "this ropeway works with it all the same: upgrade it soon",
    "too new": "it needs a newer ropeway than this",
}


@click.group(cls=Suggesting)
@options(*LOOKING)
def db() -> None:
    """Look at the tables in PostgreSQL and bring them up to date: status, migrate, sql."""


@db.command()
@options(*LOOKING)
@click.pass_obj
def status(shared: Shared) -> int:
    """Say which schema the database has, and what is to be done.

    Nothing is made or changed. Exit code 1 if a worker would refuse it.
    """
    from ropeway.backends.postgres.admin import standing

    found = standing(_url("status"))
    if shared.json:
        print_json(msgspec.to_builtins(found))
    elif on_terminal():
        print(f"schema {found.schema}: {found.state} (it is {found.found}, known {found.known})")
        if _TODO[found.state]:
            shared.hint(f"→ {_TODO[found.state]}")
    else:
        print(found.schema, found.state, found.found, found.known, sep="\t")
    return int(found.state in {"behind", "too new"})


@db.command()
@confirmable
@options(*LOOKING)
@click.pass_obj
def migrate(shared: Shared, dry_run: bool, yes: bool) -> None:
    """Bring the tables up to date, or make them.

    In one transaction; who does it at the same time waits. A worker of the version before goes on
    working meanwhile and afterwards. Prints the schemas that were gone through.
    """
    from ropeway.backends.postgres import admin

    url = _url("migrate")
    found = admin.standing(url)
    steps = list(range(found.found + 1, found.known + 1))
    if not dry_run:
        if found.state == "behind":
            confirm(f"change the tables from schema {found.found} to {found.known}", yes=yes)
        steps = admin.migrate(url)
    if shared.json:
        print_json({"schema": found.schema, "steps": steps})
    else:
        for step in steps:
            print(step)
        if not steps:
            shared.say(f"nothing to do: the schema {found.schema} is up to date")


@db.command()
@click.option("--all", "whole", is_flag=True, help="All steps from the first; no server is asked.")
@options(*LOOKING)
@click.pass_obj
def sql(shared: Shared, whole: bool) -> None:
    """Print what `migrate` would do, for those who run such things by hand.

    `ropeway db sql | psql ...` does it, as a user who may: workers then need no such right.
    """
    from ropeway.backends.postgres import admin

    url = _url("sql")
    text = admin.whole_script(url) if whole else admin.script(url)
    if shared.json:
        print_json({"sql": text})
    else:
        print(text, end="")


def _url(command: str) -> str:
    settings = load({})
    for url in (settings.url, settings.broker):
        if urlsplit(url).scheme in SCHEMES_OF_POSTGRES:
            return url
    raise Unsupported(
        f"ropeway db {command} is for PostgreSQL, and the url is {settings.where}",
        hint="other databases are brought up to date by whoever opens them",
    )
