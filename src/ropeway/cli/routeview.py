"""Exchanges, bindings and ways as people and programs are shown them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from ropeway import topology
from ropeway.cli.listing import Drawn
from ropeway.cli.look import looking
from ropeway.cli.shared import Shared
from ropeway.cli.table import Column
from ropeway.routing import Binding, Exchange, Value, Way
from ropeway.stepping import step
from ropeway.words import NOTHING

FIELDS = ("exchange", "type", "alternate", "auto_delete", "internal", "bindings")
BINDING_FIELDS = ("source", "to", "to_exchange", "key", "arguments")


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


def summary(found: topology.Topology, exchange: Exchange) -> dict[str, Any]:
    """Return an exchange for programs."""
    return {
        "exchange": exchange.name,
        "type": exchange.type,
        "alternate": exchange.alternate,
        "auto_delete": exchange.auto_delete,
        "internal": exchange.internal,
        "bindings": sum(each.source == exchange.name for each in found.bindings),
    }


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
    rows = [
        (each["source"], _end(each["to"], each["to_exchange"]), wants(each)) for each in records
    ]
    return Drawn(columns, rows)


def _end(name: str, is_exchange: bool) -> str:
    return f"exchange {name}" if is_exchange else name


def wants(binding: dict[str, Any]) -> str:
    """Say what a binding asks for."""
    arguments = dict(binding["arguments"])
    match = arguments.pop("x-match", "all")
    if arguments:
        told = ", ".join(
            name if value is None else f"{name}={value!r}" for name, value in arguments.items()
        )
        return f"{match}: {told}"
    return binding["key"] or NOTHING


def why(exchange: str, way: Way) -> str:
    """Say by which bindings a message got to a queue: "logs -[*.error]-> errors"."""
    alternates = [f"nothing else wants it: {name}" for name in way.alternates]
    steps = [
        f"{each.source} -[{wants(msgspec.structs.asdict(each))}]-> {each.to}"
        for each in way.bindings
    ]
    return "; ".join([*alternates, *steps]) or f"the default exchange: {exchange or way.queue}"


def line(each: Exchange | Binding) -> str:
    """Say all of it in one line."""
    if isinstance(each, Exchange):
        more = [f"alternate {each.alternate}"] if each.alternate else []
        more += [name for name in ("auto_delete", "internal") if getattr(each, name)]
        return " ".join([f"exchange {each.name} {each.type}", *more])
    wanted = wants(msgspec.structs.asdict(each))
    return f"binding {each.source} -[{wanted}]-> {_end(each.to, each.to_exchange)}"


def headers(words: Sequence[str]) -> dict[str, Value]:
    """Read `NAME=VALUE`, and `NAME` alone for a header of whatever value."""
    found: dict[str, Value] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise click.UsageError(f"-H {word!r} is not NAME=VALUE")
        found[name] = value if equals else None
    return found
