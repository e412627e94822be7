"""Exchanges, bindings and ways as plain values and in words."""

from __future__ import annotations

from typing import Any

import msgspec

from ropeway import topology
from ropeway.bounds import Queue
from ropeway.routing import Binding, Exchange, Way
from ropeway.words import NOTHING

FIELDS = ("exchange", "type", "alternate", "auto_delete", "internal", "bindings")


BINDING_FIELDS = ("source", "to", "to_exchange", "key", "arguments")


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


def end(name: str, is_exchange: bool) -> str:
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


def options_of(queue: Queue) -> dict[str, Any]:
    """Return the options that a queue has, for programs."""
    found: dict[str, Any] = msgspec.to_builtins(queue)
    return {name: value for name, value in found.items() if name != "name"}


def line(each: Exchange | Binding | Queue) -> str:
    """Say all of it in one line."""
    if isinstance(each, Queue):
        told = [f"{name}={value}" for name, value in options_of(each).items()]
        return " ".join([f"queue {each.name}", *told])
    if isinstance(each, Exchange):
        more = [f"alternate {each.alternate}"] if each.alternate else []
        more += [name for name in ("auto_delete", "internal") if getattr(each, name)]
        return " ".join([f"exchange {each.name} {each.type}", *more])
    wanted = wants(msgspec.structs.asdict(each))
    return f"binding {each.source} -[{wanted}]-> {end(each.to, each.to_exchange)}"
