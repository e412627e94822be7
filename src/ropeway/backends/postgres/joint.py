"""Publishing and appending in the transaction of somebody else, over a connection of any client library."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from ropeway.backends.postgres.address import Address
from ropeway.backends.postgres.hints import payloads, token
from ropeway.backends.postgres.rows import limits_of
from ropeway.envelope import KIND_NUMBERS, head_of
from ropeway.message import Message
from ropeway.store import log_name, queue_name
from ropeway.transition import Append

_encode = msgspec.json.Encoder().encode


def publishing(url: str, messages: Sequence[Message]) -> tuple[str, str]:
    """Return the function that publishes, with its schema, and the one text that it takes."""
    hints = {token(queue_name(message.queue)): None for message in messages}
    given = {"messages": [_row(message) for message in messages], "hints": list(payloads(hints))}
    return f"{Address.of(url).schema}.publish_jointly", _encode(given).decode()


def appending(url: str, appends: Sequence[Append]) -> tuple[str, str]:
    """Return the function that appends, with its schema, and the one text that it takes."""
    hints = {token(log_name(append.log)): None for append in appends}
    entries = [(append.log, base64.b64encode(append.value).decode()) for append in appends]
    given = {"entries": entries, "hints": list(payloads(hints))}
    return f"{Address.of(url).schema}.append_jointly", _encode(given).decode()


def _row(message: Message) -> dict[str, Any]:
    head, terms = head_of(message), message.terms
    return {
        "id": message.id,
        "task": message.task,
        "queue": message.queue,
        "band": message.band,
        "kind": KIND_NUMBERS[message.kind],
        "due": message.due,
        "delay": message.delay,
        "expires": message.expires,
        "within": None if terms is None else terms.expires,
        "limited_by": limits_of(message),
        "head": None if head is None else base64.b64encode(head).decode(),
        "body": base64.b64encode(message.body).decode(),
    }
