"""`ropeway publish`: send a message to an exchange, without the code of its task."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
import msgspec

from ropeway.cli import routeview
from ropeway.cli.complete import exchange_names
from ropeway.cli.look import changing
from ropeway.cli.output import print_json
from ropeway.cli.shared import LOOKING, Shared, options
from ropeway.errors import Backpressure, BadArguments, Unroutable
from ropeway.ids import new_id
from ropeway.message import DEFAULT_BAND, Message
from ropeway.stepping import step
from ropeway.transition import Transition


@click.command()
@click.argument("exchange", shell_complete=exchange_names)
@click.argument("key", default="")
@click.option("--task", required=True, metavar="NAME", help="The whole name of the task.")
@click.option(
    "--body", default="{}", metavar="JSON", help="Its arguments; - reads them from stdin."
)
@click.option("-H", "headers", multiple=True, metavar="NAME=VALUE", help="A header.")
@click.option("--priority", type=click.IntRange(0, 9), default=DEFAULT_BAND, help="9 comes first.")
@click.option("--mandatory/--no-mandatory", default=True, help="Whether some queue has to want it.")
@options(*LOOKING)
@click.pass_obj
def publish(
    shared: Shared,
    exchange: str,
    key: str,
    task: str,
    body: str,
    headers: Sequence[str],
    priority: int,
    mandatory: bool,
) -> None:
    """Send a call to EXCHANGE with the routing key KEY, and print the id of its job.

    The empty EXCHANGE sends to the queue KEY. No code is imported, so the arguments are not
    checked before a worker does. Exit code 9 if no queue wants it, 7 if one is full.
    """
    message = Message(
        id=new_id(),
        task=task,
        body=_arguments(sys.stdin.read() if body == "-" else body),
        band=priority,
        headers={name: str(value or "") for name, value in routeview.headers(headers).items()},
        exchange=exchange,
        routing_key=key,
        mandatory=mandatory,
    )
    with changing() as backend:
        (answer,) = step(backend.commit([Transition(publish=(message,))]))
    if answer.reason == "unroutable":
        raise Unroutable(
            f"exchange {exchange!r} has no queue for it",
            hint=f"see: ropeway route {exchange} {key}",
        )
    if not answer.ok:
        raise Backpressure(f"{answer.key} has no room", hint="see: ropeway queues ls")
    if shared.json:
        print_json({"id": message.id})
    else:
        print(message.id)


def _arguments(text: str) -> bytes:
    try:
        msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise BadArguments(
            f"--body is no JSON object of arguments: {error}",
            hint='write --body \'{"text": "hello"}\'',
        ) from None
    return text.strip().encode()
