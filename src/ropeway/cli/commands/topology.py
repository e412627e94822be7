"""`ropeway topology`: all exchanges, bindings and options of queues, to and from a file."""

from __future__ import annotations

from typing import TextIO

import click
import msgspec
from msgspec import Struct

from ropeway import topology as kept
from ropeway.bounds import Queue
from ropeway.cli.confirm import confirm
from ropeway.cli.groups import Suggesting
from ropeway.cli.look import by_hand, changing
from ropeway.cli.output import print_json
from ropeway.cli.routeview import look
from ropeway.cli.shared import LOOKING, Shared, options
from ropeway.errors import ConfigError
from ropeway.operate.exchange import line
from ropeway.routing import Binding, Exchange
from ropeway.stepping import step


class File(Struct, frozen=True):
    """A topology in a file."""

    exchanges: list[Exchange] = []
    bindings: list[Binding] = []
    queues: list[Queue] = []


@click.group(cls=Suggesting)
@options(*LOOKING)
def topology() -> None:
    """Take exchanges, bindings and options of queues to and from a file: export, diff, apply."""


@topology.command()
@options(*LOOKING)
@click.pass_obj
def export(shared: Shared) -> None:
    """Print all exchanges, bindings and options of queues as JSON, for `apply`."""
    found = look(shared)
    file = File([*found.exchanges.values()], found.bindings, [*found.queues.values()])
    print_json(msgspec.to_builtins(file))


@topology.command()
@click.argument("file", type=click.File())
@options(*LOOKING)
@click.pass_obj
def diff(shared: Shared, file: TextIO) -> int:
    """Say what FILE has that is not declared (+), and what is declared that it has not (-).

    Exit code 1 if there is any difference.
    """
    lines = _difference(look(shared), _read(file))
    if shared.json:
        print_json(lines)
    else:
        print("\n".join(lines) or "no difference")
    return 1 if lines else 0


@topology.command()
@click.argument("file", type=click.File())
@click.option("--prune", is_flag=True, help="Also remove what FILE has not.")
@click.option("--yes", is_flag=True, help="Do not ask before something is removed.")
@options(*LOOKING)
@click.pass_obj
def apply(shared: Shared, file: TextIO, prune: bool, yes: bool) -> None:
    """Declare what FILE has; with --prune it is all there is afterwards."""
    wanted = _read(file)
    with changing() as backend:
        step(by_hand(backend).declare(wanted.exchanges, wanted.bindings, wanted.queues))
        found = step(kept.load(backend))
        extra = [name for name in found.exchanges if name not in {e.name for e in wanted.exchanges}]
        loose = [each for each in found.bindings if each not in wanted.bindings]
        free = [name for name in found.queues if name not in {q.name for q in wanted.queues}]
        if prune and (extra or loose or free):
            gone = f"{len(extra)} exchanges, {len(loose)} bindings, options of {len(free)} queues"
            confirm(f"remove {gone} that {file.name} has not", yes=yes)
            step(by_hand(backend).delete(extra, loose, free))
    shared.say("exchanges, bindings and options of queues are as the file says")


def _read(file: TextIO) -> File:
    try:
        return msgspec.json.decode(file.read(), type=File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file.name} is no topology: {error}", hint="see: ropeway topology export"
        ) from None


def _difference(found: kept.Topology, wanted: File) -> list[str]:
    there = {*map(line, found.exchanges.values()), *map(line, found.bindings)}
    there |= {*map(line, found.queues.values())}
    asked = {*map(line, wanted.exchanges), *map(line, wanted.bindings), *map(line, wanted.queues)}
    return [f"+ {line}" for line in sorted(asked - there)] + [
        f"- {line}" for line in sorted(there - asked)
    ]
