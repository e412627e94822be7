"""Exchanges, bindings and ways as people and programs are shown them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ropeway import topology
from ropeway.cli.listing import Drawn
from ropeway.cli.look import looking
from ropeway.cli.shared import Shared
from ropeway.cli.table import Column
from ropeway.operate.exchange import end, wants
from ropeway.routing import Binding, Value
from ropeway.stepping import step
from ropeway.words import NOTHING


def look(shared: Shared) -> topology.Topology:
    """Return what is declared; says so if that is nothing."""
    with looking() as (backend, missing):
        if backend is None:
            shared.say(missing)
            return topology.Topology(0, {}, [])
        found = step(topology.load(backend))
    if not found.exchanges and not shared.json:
        shared.say("no exchange is declared: workers declare those of their code when they start")
    return found


def drawn(records: Sequence[dict[str, Any]]) -> Drawn:
    """Draw exchanges."""
    columns = (
        Column(heading="EXCHANGE", least=12),
        Column(heading="TYPE", least=7),
        Column(heading="BINDINGS", right=True),
        Column(heading="ALTERNATE", least=9, optional=1),
        Column(heading="ALSO", least=4, optional=2),
    )
    rows = []
    for each in records:
        also = [name for name in ("auto_delete", "internal") if each[name]]
        told = each["alternate"] or NOTHING, ", ".join(also) or NOTHING
        rows.append((each["exchange"], each["type"], str(each["bindings"]), *told))
    return Drawn(columns, rows)


def drawn_bindings(records: Sequence[dict[str, Any]]) -> Drawn:
    """Draw bindings."""
    columns = (
        Column(heading="FROM", least=12),
        Column(heading="TO", least=12),
        Column(heading="WANTS", least=12),
    )
    rows = [(each["source"], end(each["to"], each["to_exchange"]), wants(each)) for each in records]
    return Drawn(columns, rows)


TYPES = click.Choice(("direct", "fanout", "topic", "headers"))
MATCHES = click.Choice(("all", "any", "all-with-x", "any-with-x"))


def binding(
    exchange: str, to: str, key: str, to_exchange: bool, words: Sequence[str], match: str
) -> Binding:
    """Read what a command says of a binding."""
    arguments = headers(words)
    if arguments and match != "all":
        arguments["x-match"] = match
    return Binding(source=exchange, to=to, to_exchange=to_exchange, key=key, arguments=arguments)


def headers(words: Sequence[str]) -> dict[str, Value]:
    """Read `NAME=VALUE`, and `NAME` alone for a header of whatever value."""
    found: dict[str, Value] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise click.UsageError(f"-H {word!r} is not NAME=VALUE")
        found[name] = value if equals else None
    return found
