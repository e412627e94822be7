"""`ropeway contexts`: names for the places where jobs are kept."""

from __future__ import annotations

import os
import time
from typing import Any

import click
from msgspec.structs import replace

from ropeway.cli.complete import context_names
from ropeway.cli.contexts import Context, Contexts, path, read, resolved, shown, write
from ropeway.cli.groups import Suggesting
from ropeway.cli.listing import Drawn, print_list
from ropeway.cli.look import changing
from ropeway.cli.output import print_json
from ropeway.cli.shared import Shared, options
from ropeway.cli.table import Column
from ropeway.config import load
from ropeway.safe import one_line
from ropeway.stepping import step
from ropeway.words import NOTHING, duration

FIELDS = ("name", "used", "protected", "url", "broker")
_COLUMNS = (
    Column(heading="NAME", least=8),
    Column(heading="USED"),
    Column(heading="PROTECTED", optional=2),
    Column(heading="URL", least=16),
    Column(heading="BROKER", least=16, optional=1),
)
_PRINTING = ("output", "json", "quiet", "verbose", "no_color")
_NAMED = click.argument("name", shell_complete=context_names)


@click.group(cls=Suggesting)
def contexts() -> None:
    """Keep names for the places where jobs are: add, ls, use, show, test, rm."""


@contexts.command()
@click.argument("name")
@click.option("--url", required=True, metavar="URL", help="Where its jobs are kept.")
@click.option("--broker", default="", metavar="URL", help="Where its messages travel, in a pair.")
@click.option("--protected", is_flag=True, help="Do nothing that asks, without --confirm NAME.")
@click.option("--replace", "anew", is_flag=True, help="Replace one of that name.")
@click.option("--store-secret", "clear", is_flag=True, help="Keep a password as it is written.")
@options(*_PRINTING)
@click.pass_obj
def add(shared: Shared, /, anew: bool, clear: bool, **given: Any) -> None:
    """Keep a place as NAME.

    A secret is not written into the file but named: env:NAME or file:PATH instead of the whole
    URL, or {env:NAME} or {file:PATH} within it.
    """
    context = Context(**given)
    write(read().with_one(context, anew=anew, clear=clear))
    shared.say(f"kept in {path()}; use it with: ropeway -C {context.name} status")


@contexts.command()
@options(*_PRINTING, "fields")
@click.pass_obj
def ls(shared: Shared) -> None:
    """List the contexts, and which is in use."""
    known = read()
    records = [_record(each, known) for each in known.contexts]
    rows = [[_cell(value) for value in record.values()] for record in records]
    print_list(shared, FIELDS, records, lambda: Drawn(_COLUMNS, rows))


@contexts.command()
@click.argument("name", required=False, shell_complete=context_names)
@click.option("--none", is_flag=True, help="Use none any more.")
@options(*_PRINTING)
@click.pass_obj
def use(shared: Shared, name: str | None, none: bool) -> None:
    """Use NAME for commands that import no app, unless they are told otherwise."""
    if (name is None) is not none:
        raise click.UsageError("Say either the name of a context, or --none.")
    known = read()
    write(replace(known, used=known.find(name).name if name is not None else None))
    shared.say(f"in use: {name or 'none'}")


@contexts.command()
@_NAMED
@options(*_PRINTING)
@click.pass_obj
def show(shared: Shared, name: str) -> None:
    """Show one context; secrets that are written in it are not shown."""
    known = read()
    record = _record(known.find(name), known)
    if shared.json:
        print_json(record)
        return
    for field, value in record.items():
        print(one_line(f"{field:<10}{_cell(value)}"))


@contexts.command()
@_NAMED
@options(*_PRINTING)
@click.pass_obj
def test(shared: Shared, name: str) -> None:
    """Ask the place for its time, and say how long that took; exit code 7 if it is not there."""
    url, broker = resolved(read().find(name), os.environ)
    os.environ.update(ROPEWAY_URL=url, ROPEWAY_BROKER=broker)
    settings = load({})
    took = _asked()
    if shared.json:
        print_json({"name": name, "url": settings.where, "seconds": took})
    else:
        print(one_line(f"{name}: {settings.where} has answered within {duration(took)}"))


def _asked() -> float:
    with changing() as backend:
        step(backend.now())
        begun = time.monotonic()
        step(backend.now())
        return time.monotonic() - begun


@contexts.command()
@_NAMED
@options(*_PRINTING)
@click.pass_obj
def rm(shared: Shared, name: str) -> None:
    """Forget the context NAME; nothing becomes of its jobs."""
    write(read().without(name))
    shared.say(f"forgotten: {name}")


def _record(context: Context, known: Contexts) -> dict[str, Any]:
    return {
        "name": context.name,
        "used": context.name == known.used,
        "protected": context.protected,
        "url": shown(context.url),
        "broker": shown(context.broker) or None,
    }


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value or NOTHING
