"""`ropeway route`: where a message would go, and why."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ropeway.cli import routeview
from ropeway.cli.complete import exchange_names
from ropeway.cli.listing import Drawn, print_list
from ropeway.cli.shared import LISTING, Shared, options
from ropeway.cli.table import Column
from ropeway.errors import ConfigError
from ropeway.operate.exchange import why


@click.command()
@click.argument("exchange", shell_complete=exchange_names)
@click.argument("key", default="")
@click.option("-H", "headers", multiple=True, metavar="NAME=VALUE", help="A header.")
@options(*LISTING)
@click.pass_obj
def route(shared: Shared, exchange: str, key: str, headers: Sequence[str]) -> int:
    """Say to which queues a message would go, and why; nothing is sent.

    Exit code 1 if it goes nowhere.
    """
    found = routeview.look(shared)
    try:
        ways = found.router().ways(exchange, key, routeview.headers(headers))
    except LookupError as error:
        raise ConfigError(str(error.args[0]), hint="see: ropeway exchanges ls") from None
    records = [{"queue": way.queue, "why": why(exchange, way)} for way in ways]
    columns = (Column(heading="QUEUE", least=12), Column(heading="WHY", least=20))
    rows = [(each["queue"], each["why"]) for each in records]
    print_list(shared, ("queue", "why"), records, lambda: Drawn(columns, rows))
    if not records:
        shared.say(f"{exchange} has no queue for it: such a message is unroutable")
    return 0 if records else 1
