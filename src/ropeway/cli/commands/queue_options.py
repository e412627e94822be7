"""What a queue is told: how many may wait in it and for how long, and what is bound to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ropeway import topology
from ropeway.bounds import OVERFLOWS, Queue
from ropeway.cli import routeview
from ropeway.cli.complete import queue_names
from ropeway.cli.confirm import confirm
from ropeway.cli.look import by_hand, changing
from ropeway.cli.shared import LOOKING, Shared, a_duration, options
from ropeway.stepping import step
from ropeway.words import several

_CAP = 100_000


@click.command()
@click.argument("queue", shell_complete=queue_names)
@click.option("--max-length", type=click.IntRange(min=1), help="At most so many wait in it.")
@click.option(
    "--overflow", type=click.Choice(OVERFLOWS), default="reject", help="What one more does."
)
@click.option("--message-ttl", type=a_duration, metavar="DURATION", help="What waits longer ends.")
@click.option("--dead-letter-exchange", metavar="EXCHANGE", help="Gets what the queue lets go.")
@click.option("--dead-letter-key", metavar="KEY", help="In place of the key it came with.")
@click.option("--durable/--no-durable", default=True, help="Whether it is to outlive its server.")
@click.option("--auto-delete", is_flag=True, help="It goes with the last worker that served it.")
@click.option(
    "--exclusive", is_flag=True, help="Only one worker takes from it, and it goes with it."
)
@options(*LOOKING)
@click.pass_obj
def declare(shared: Shared, /, queue: str, **asked: Any) -> None:
    """Bring options of a queue into force; exit code 9 if it is there with others.

    They count for everybody who sends to it, within a second.
    """
    with changing() as backend:
        step(by_hand(backend).declare(queues=[Queue(name=queue, **asked)]))
    shared.say(f"queue {queue} is declared")


def _bound(function: Any) -> Any:
    """Give a command what names a binding of a queue."""
    for add in (
        click.argument("queue", shell_complete=queue_names),
        click.argument("exchange"),
        click.argument("key", default=""),
        click.option("-H", "headers", multiple=True, metavar="NAME=VALUE", help="A header."),
        click.option("--match", type=routeview.MATCHES, default="all", help="Which have to match."),
    )[::-1]:
        function = add(function)
    return function


@click.command()
@_bound
@options(*LOOKING)
@click.pass_obj
def bind(
    shared: Shared, queue: str, exchange: str, key: str, headers: Sequence[str], match: str
) -> None:
    """Have a queue get what EXCHANGE has for KEY; it counts in the next send of everybody."""
    wanted = routeview.binding(exchange, queue, key, False, headers, match)
    with changing() as backend:
        step(by_hand(backend).declare(bindings=[wanted]))
    shared.say(f"{queue} is bound to {exchange}")


@click.command()
@_bound
@options(*LOOKING)
@click.pass_obj
def unbind(
    shared: Shared, queue: str, exchange: str, key: str, headers: Sequence[str], match: str
) -> None:
    """Remove a binding of a queue; one that is not there is gone."""
    wanted = routeview.binding(exchange, queue, key, False, headers, match)
    with changing() as backend:
        step(by_hand(backend).delete(bindings=[wanted]))
    shared.say(f"{queue} is not bound so to {exchange}")


@click.command()
@click.argument("queue", shell_complete=queue_names)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@options(*LOOKING)
@click.pass_obj
def delete(shared: Shared, queue: str, yes: bool) -> None:
    """Remove the options of a queue and its bindings, and cancel what waits in it.

    What runs goes on. A queue without options is there as soon as something is sent to it.
    """
    with changing() as backend:
        (stats,) = step(backend.stats([queue], _CAP))
        bindings = step(topology.load(backend)).bindings
        lost = sum(each.to == queue and not each.to_exchange for each in bindings)
        waiting = several(stats.ready + stats.delayed, more=max(stats.ready, stats.delayed) >= _CAP)
        confirm(f"delete {queue}, with {lost} bindings, and cancel {waiting}", yes=yes)
        hand = by_hand(backend)
        step(hand.delete(queues=[queue]))
        ended = step(hand.purge(queue))
    shared.say(f"queue {queue} is gone, and {several(ended)} with it")


COMMANDS = (declare, bind, unbind, delete)
