"""A message of ropeway's as properties, headers and body of AMQP, and back: pure functions.

What plain clients need is where they look for it; what only ropeway knows is one header more.
"""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from ropeway.backends.rabbitmq.frames import Delivered, Letter
from ropeway.broker_half import (
    CORRELATION,
    EVENT_ID,
    INLET,
    OWN_ID,
    PUBLISHED_ID,
    REPLY_TO,
    Reply,
)
from ropeway.envelope import head_of, message_of
from ropeway.ids import derived_id, new_id
from ropeway.message import Failure, Kind, Message

HEAD = "ropeway"
"""The header that holds, as JSON, the fields of a message that AMQP has no place for."""

FIRST = "ropeway-first"
"""The header that names the queue in which what came by an exchange keeps its id; the copies in
other queues have ids made of that and the queue."""

TASK = "task"
"""The header that names the task, where the property `type` does not."""

UNREADABLE = "application/x-ropeway-unreadable"
"""The content type that a message gets whose head cannot be read; no codec knows it."""

DEAD = "ropeway.dead"
"""The queue of what a store has refused: known ids with another content."""

_SUFFIXES: dict[Kind, str] = {"threads": "", "loop": "@loop", "cpu": "@cpu"}
_TAKEN_OUT = frozenset("\r\n%")
"""What RabbitMQ takes out of names is written as in URLs, and the sign for that as well."""

_LONGEST, _BEGINS = 255, 200
"""Bytes that a name may have in AMQP, and how many of a longer one are kept for people to read."""

_BYTES = "application/octet-stream"
_COUNTED = ("x-delivery-count", "x-acquired-count")
"""Headers that a server changes at each hand-over; a message has to stay the same."""


def line_of(queue: str, kind: Kind) -> str:
    """Return the queue on the server in which the messages of a queue that have a kind rest.

    Plain clients, which know of no kinds, use that of threads: it has the queue's own name.
    """
    if not _TAKEN_OUT.isdisjoint(queue):
        queue = "".join(quote(each) if each in _TAKEN_OUT else each for each in queue)
    line = queue + _SUFFIXES[kind]
    data = line.encode()
    if len(data) <= _LONGEST:
        return line
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    return data[:_BEGINS].decode("utf-8", "ignore") + "~" + digest


def letter_of(message: Message) -> Letter:
    """Write a message for its queue, or for its exchange if it is still to be routed."""
    headers: dict[str, Any] = dict(message.headers)
    reply_to, correlation = headers.pop(REPLY_TO, ""), headers.pop(CORRELATION, "")
    rest = replace(message, headers={}, kind="threads", content_type="application/json")
    exchange, key, mandatory = "", line_of(message.queue, message.kind), True
    if message.mandatory is not None:
        exchange, key, mandatory = message.exchange, message.routing_key, message.mandatory
        rest = replace(rest, exchange="", routing_key="", mandatory=None)
        if EVENT_ID in headers:
            headers[OWN_ID] = message.id
        else:
            headers[FIRST] = message.queue
    if head := head_of(rest):
        headers[HEAD] = head.decode()
    return Letter(
        exchange=exchange,
        key=key,
        id=headers.get(EVENT_ID, message.id) if exchange else message.id,
        type=message.task,
        content_type=message.content_type,
        headers=headers or None,
        reply_to=reply_to,
        correlation_id=correlation,
        body=message.body,
        mandatory=mandatory,
    )


def message_from(delivered: Delivered, queue: str, kind: Kind) -> Message:
    """Read what rested in a queue, whoever wrote it; nothing of it is left out.

    Without an id it gets a new one: then nobody can tell that it is a message that came before.
    """
    known = delivered.properties
    headers = dict(known.headers or {})
    head, first = headers.pop(HEAD, None), headers.pop(FIRST, None)
    task = known.type or str(headers.pop(TASK, ""))
    own = str(headers.pop(OWN_ID, "")) or known.message_id
    job_id = own or new_id()
    if own and delivered.exchange and queue != first:
        if queue.startswith(INLET):
            headers[PUBLISHED_ID] = known.message_id or own
        job_id = derived_id(own, queue)
    packed = (
        job_id,
        task,
        queue,
        5,
        None,
        head.encode() if isinstance(head, str) else head and b"",
        delivered.body,
    )
    message, wrong = message_of(packed)
    for name in _COUNTED:
        headers.pop(name, None)
    if known.reply_to:
        headers |= {REPLY_TO: known.reply_to, CORRELATION: known.correlation_id}
    return replace(
        message,
        kind=kind,
        headers={name: _text(value) for name, value in headers.items()},
        content_type=UNREADABLE if wrong else known.content_type or _BYTES,
        exchange=delivered.exchange or message.exchange,
        routing_key=delivered.key if delivered.exchange else message.routing_key,
    )


def answer_of(reply: Reply) -> Letter:
    """Write the end of a job for whoever asked for it; who has gone since gets nothing."""
    ok = reply.error is None
    return Letter(
        key=reply.to,
        id=reply.job_id,
        type="succeeded" if ok else "failed",
        content_type="application/json",
        headers={TASK: reply.task},
        correlation_id=reply.correlation,
        body=(reply.value or b"null") if ok else msgspec.json.encode(reply.error),
        mandatory=False,
    )


def reply_from(delivered: Delivered) -> Reply:
    """Read the end of a job as `answer_of` writes it."""
    known, error = delivered.properties, None
    if known.type != "succeeded":
        try:
            error = msgspec.json.decode(delivered.body, type=Failure)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            error = Failure(type="Unreadable", message="the answer is none of ropeway's")
    return Reply(
        to=delivered.key,
        correlation=known.correlation_id,
        job_id=known.message_id,
        task=str((known.headers or {}).get(TASK, "")),
        value=None if error else delivered.body,
        error=error,
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "backslashreplace")
    return msgspec.json.encode(value, enc_hook=str).decode()


def dead(delivered: Delivered, queue: str) -> Letter:
    """Write a message that was refused for the queue of such, with all that it was."""
    known = delivered.properties
    headers = dict(known.headers or {}) | {"ropeway-queue": queue}
    return Letter(
        key=DEAD,
        id=known.message_id,
        type=known.type,
        content_type=known.content_type,
        headers=headers,
        correlation_id=known.correlation_id,
        reply_to=known.reply_to,
        body=delivered.body,
    )
