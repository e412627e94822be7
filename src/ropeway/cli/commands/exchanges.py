"""`ropeway exchanges`: what is declared and bound, and changes of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ropeway import topology as kept
from ropeway.cli import routeview
from ropeway.cli.complete import exchange_names, queue_names
from ropeway.cli.confirm import confirm
from ropeway.cli.groups import Suggesting
from ropeway.cli.listing import print_list
from ropeway.cli.look import by_hand, changing
from ropeway.cli.routeview import drawn, drawn_bindings, look
from ropeway.cli.shared import LISTING, LOOKING, Shared, options
from ropeway.operate.exchange import BINDING_FIELDS, FIELDS, summary
from ropeway.routing import Exchange
from ropeway.stepping import step


@click.group(cls=Suggesting)
@options(*LOOKING)
def exchanges() -> None:
    """Look at exchanges and change them: ls, bindings, declare, bind, unbind, rm."""


@exchanges.command()
@options(*LISTING)
@click.pass_obj
def ls(shared: Shared) -> None:
    """List the exchanges that are declared, by whomever."""
    found = look(shared)
    records = [summary(found, each) for each in found.exchanges.values()]
    print_list(shared, FIELDS, records, lambda: drawn(records))


@exchanges.command()
@click.argument("exchange", required=False, shell_complete=exchange_names)
@options(*LISTING)
@click.pass_obj
def bindings(shared: Shared, exchange: str | None) -> None:
    """List the bindings from EXCHANGE, or all of them."""
    found = look(shared)
    records = [
        {name: getattr(each, name) for name in BINDING_FIELDS}
        for each in sorted(found.bindings, key=lambda each: (each.source, each.to, each.key))
        if exchange in {None, each.source}
    ]
    print_list(shared, BINDING_FIELDS, records, lambda: drawn_bindings(records))


@exchanges.command()
@click.argument("exchange", shell_complete=exchange_names)
@click.option(
    "--type", "kind", type=routeview.TYPES, default="direct", show_default=True, help="Its type."
)
@click.option("--alternate", metavar="EXCHANGE", help="What gets what no binding wants.")
@click.option("--auto-delete", is_flag=True, help="It goes with the last binding from it.")
@click.option("--internal", is_flag=True, help="Only exchanges are bound to it.")
@options(*LOOKING)
@click.pass_obj
def declare(
    shared: Shared,
    exchange: str,
    kind: Any,
    alternate: str | None,
    auto_delete: bool,
    internal: bool,
) -> None:
    """Make an exchange; exit code 9 if it is there with other properties."""
    wanted = Exchange(
        name=exchange, type=kind, alternate=alternate, auto_delete=auto_delete, internal=internal
    )
    with changing() as backend:
        step(by_hand(backend).declare([wanted]))
    shared.say(f"exchange {exchange} is there, of type {kind}")


def _binding(function: Any) -> Any:
    """Give a command what names a binding."""
    for add in (
        click.argument("exchange", shell_complete=exchange_names),
        click.argument("to", shell_complete=queue_names),
        click.argument("key", default=""),
        click.option("--exchange", "to_exchange", is_flag=True, help="TO is an exchange."),
        click.option("-H", "words", multiple=True, metavar="NAME=VALUE", help="A header."),
        click.option(
            "--match", type=routeview.MATCHES, default="all", help="Which headers have to match."
        ),
    )[::-1]:
        function = add(function)
    return function


@exchanges.command()
@_binding
@options(*LOOKING)
@click.pass_obj
def bind(shared: Shared, /, **asked: Any) -> None:
    """Have the queue TO get what EXCHANGE has for KEY; it counts in the next send of everybody."""
    with changing() as backend:
        step(by_hand(backend).declare(bindings=[routeview.binding(**asked)]))
    shared.say(f"{asked['to']} is bound to {asked['exchange']}")


@exchanges.command()
@_binding
@options(*LOOKING)
@click.pass_obj
def unbind(shared: Shared, /, **asked: Any) -> None:
    """Remove a binding; one that is not there is gone."""
    with changing() as backend:
        step(by_hand(backend).delete(bindings=[routeview.binding(**asked)]))
    shared.say(f"{asked['to']} is not bound so to {asked['exchange']}")


@exchanges.command()
@click.argument("names", nargs=-1, required=True, shell_complete=exchange_names)
@click.option("--yes", is_flag=True, help="Do not ask.")
@options(*LOOKING)
@click.pass_obj
def rm(shared: Shared, names: Sequence[str], yes: bool) -> None:
    """Remove exchanges, with all bindings from and to them. What is in queues stays."""
    with changing() as backend:
        found = step(kept.load(backend))
        lost = [each for each in found.bindings if {each.source, each.to} & set(names)]
        confirm(f"remove {', '.join(names)}, with {len(lost)} bindings", yes=yes)
        step(by_hand(backend).delete(names))
