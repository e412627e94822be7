"""`ropeway doctor`: check this machine, the database and the app."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import click
import msgspec

from ropeway import safe
from ropeway.capabilities import require
from ropeway.cli.checks import (
    abilities,
    application,
    database,
    postgres,
    programs,
    rabbitmq,
    redis,
    storage,
)
from ropeway.cli.checks.check import Check, failed
from ropeway.cli.listing import Drawn, chosen_fields, print_list
from ropeway.cli.look import database_file
from ropeway.cli.output import on_terminal
from ropeway.cli.shared import Shared, options
from ropeway.config import Settings, load
from ropeway.connect import BROKERS, SCHEMES_OF_POSTGRES, Connection
from ropeway.errors import RopewayError
from ropeway.words import NOTHING

FIELDS = ("name", "status", "fact", "remedy")
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@options()
@click.pass_obj
def doctor(shared: Shared) -> int:
    """Check this machine, the database and the app.

    Each line says ok, warn or fail, what was found, and what to do about it. No database is
    made. With -A the app is imported, in a process of its own. Exit code 1 if anything failed.
    """
    found = []
    plain = shared.output == "table" and not chosen_fields(shared, FIELDS)
    for check in examine(shared.app):
        found.append(check)
        if plain:
            _print(check)
    if not plain:
        records = [msgspec.to_builtins(check) for check in found]
        print_list(shared, FIELDS, records, lambda: Drawn((), ()))
    return 1 if any(check.status == "fail" for check in found) else 0


def examine(app: str | None) -> Iterator[Check]:
    """Make all the checks, one after the other."""
    yield programs.python()
    yield programs.ropeway()
    yield programs.sqlite()
    url = None
    try:
        settings = load({})
        url = settings.url
        yield from _backend(settings)
    except RopewayError as error:
        yield failed("url", error)
    yield application.application(app, url)


def _backend(settings: Settings) -> Iterator[Check]:
    connection = Connection.of(settings)
    path = database_file(settings)
    if path is None:
        require(connection.blocking().capabilities, "shared", f"{settings.where} for workers")
        yield Check("url", "ok", settings.where)
        yield abilities.abilities(connection.blocking().capabilities)
        for url in filter(None, (settings.broker, settings.url)):
            yield from _server(url, alone=not settings.broker)
        if connection.blocking().capabilities.store:
            yield database.queues(settings)
        return
    yield Check("url", "ok", settings.where)
    yield abilities.abilities(connection.blocking().capabilities)
    if settings.broker:
        yield from _server(settings.broker, alone=False)
    yield storage.writable(path)
    yield storage.free_space(path)
    yield storage.file_system(path)
    yield programs.inotify()
    kept = database.database(path)
    yield kept
    if kept.status == "ok" and path.exists():
        yield database.queues(settings)


def _server(url: str, *, alone: bool) -> Iterator[Check]:
    scheme = urlsplit(url).scheme
    if scheme in SCHEMES_OF_POSTGRES:
        yield from postgres.examine(url)
    elif scheme.startswith("redis"):
        yield from redis.examine(url)
    elif scheme in BROKERS:
        yield from rabbitmq.examine(url, alone=alone)


def _print(check: Check) -> None:
    fact, remedy = safe.one_line(check.fact), safe.one_line(check.remedy)
    if not on_terminal():
        print(f"{check.status}\t{check.name}\t{fact}\t{remedy or NOTHING}")
        return
    from rich.console import Console
    from rich.text import Text

    line = Text.assemble((f"{check.status:<5}", _COLOURS[check.status]), f"{check.name:<11}{fact}")
    if remedy:
        line.append(f"\n{'':16}→ {remedy}", style="bold")
    Console().print(line, soft_wrap=True)
