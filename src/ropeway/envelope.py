"""How a job is written in rows: a message in columns and a head, states and kinds as numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import msgspec
from msgspec import Struct, field

from ropeway.message import (
    ENVELOPE_VERSION,
    Delivery,
    Failure,
    Fence,
    JobRecord,
    Kind,
    Message,
    Terms,
    job_key,
)
from ropeway.retry import RetryPolicy
from ropeway.states import State
from ropeway.transition import Record

STATES = (
    State.QUEUED,
    State.RUNNING,
    State.SUCCEEDED,
    State.FAILED,
    State.CANCELLED,
    State.EXPIRED,
    State.QUARANTINED,
)
NUMBERS = {state: number for number, state in enumerate(STATES)}
KIND_NUMBERS: dict[Kind, int] = {"threads": 0, "loop": 1, "cpu": 2}
"""The column by which claims find a message; when it is read its head tells."""

Packed = tuple[str, str, str, int, str | None, bytes | None, bytes]
"""Id, task, queue, band, key, head and body."""


_NO_DELAY, _JSON = 0.0, "application/json"
"""What is left out of a head has to be the very object that is its default."""


class Row(Protocol):
    """A row as a database's library gives it: columns by number, and slices of them."""

    def __getitem__(self, at: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...


class _Head(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of a message that have no column: nothing is ever looked up by them."""

    due: float | None = None
    delay: float = _NO_DELAY
    expires: float | None = None
    kind: Kind = "threads"
    policy: RetryPolicy | None = None
    headers: dict[str, str] = field(default_factory=dict)
    trace: str | None = None
    content_type: str = _JSON
    signature: bytes | None = None
    limits: tuple[str, ...] = ()
    terms: Terms | None = None
    exchange: str = ""
    routing_key: str = ""
    mandatory: bool | None = None
    version: int = ENVELOPE_VERSION


_encode = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_error = msgspec.json.Decoder(Failure).decode


_PLAIN_HEADS: dict[Kind, bytes | None] = {
    "threads": None,
    "loop": b'{"kind":"loop"}',
    "cpu": b'{"kind":"cpu"}',
}
_PLAIN_KINDS = {head: kind for kind, head in _PLAIN_HEADS.items()}


def head_of(message: Message) -> bytes | None:
    """Encode what has no column of its own; None when everything is as by default."""
    if _is_plain(message):
        return _PLAIN_HEADS[message.kind]
    return _encode(
        _Head(
            due=message.due,
            delay=message.delay or _NO_DELAY,
            expires=message.expires,
            kind=message.kind,
            policy=message.policy,
            headers=message.headers,
            trace=message.trace,
            content_type=_JSON if message.content_type == _JSON else message.content_type,
            signature=message.signature,
            limits=message.limits,
            terms=message.terms,
            exchange=message.exchange,
            routing_key=message.routing_key,
            mandatory=message.mandatory,
            version=message.version,
        )
    )


def _is_plain(message: Message) -> bool:
    # Nearly every message is: these comparisons cost a tenth of an encoding.
    return (
        message.due is None
        and not message.delay
        and message.expires is None
        and message.policy is None
        and not message.headers
        and message.trace is None
        and message.signature is None
        and not message.limits
        and message.terms is None
        and not message.exchange
        and not message.routing_key
        and message.mandatory is None
        and message.content_type == _JSON
        and message.version == ENVELOPE_VERSION
    )


def error_of(error: Failure | None) -> bytes | None:
    """Encode an error for its column."""
    return None if error is None else _encode(error)


def message_of(row: Packed) -> tuple[Message, str | None]:
    """Put a message together again, and say what of it could not be read."""
    job_id, task, queue, band, key, head, body = row
    plain = _PLAIN_KINDS.get(head)
    kind: Kind = plain or "threads"
    message = Message(id=job_id, task=task, body=body, queue=queue, band=band, key=key, kind=kind)
    if plain is not None:
        return message, None
    try:
        rest = _decode_head(head or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return message, f"the message's head cannot be read: {error}"
    # By hand: for a node of a workflow this is a tenth of what its claim costs.
    whole = Message(
        id=job_id,
        task=task,
        body=body,
        queue=queue,
        band=band,
        key=key,
        due=rest.due,
        delay=rest.delay,
        expires=rest.expires,
        kind=rest.kind,
        policy=rest.policy,
        headers=rest.headers,
        trace=rest.trace,
        content_type=rest.content_type,
        signature=rest.signature,
        limits=rest.limits,
        terms=rest.terms,
        exchange=rest.exchange,
        routing_key=rest.routing_key,
        mandatory=rest.mandatory,
        version=rest.version,
    )
    return whole, None


def failure_of(error: bytes) -> Failure:
    """Decode an error; one that cannot be read is an error as well."""
    try:
        return _decode_error(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        return Failure(type="unreadable", message=f"what is kept of its error: {wrong}")


def job_of(row: Row) -> JobRecord:
    """Make a job's record of a row: a packed message, and how it stands, in the order of a record.

    That is state, attempt, failures, losses, releases, unknown; enqueued, due, started, finished,
    holder, value, error; version, and whether it is being cancelled.
    """
    state, attempt, failures, losses, releases, unknown = row[7:13]
    enqueued, due, started, finished, holder, value, error = row[13:20]
    job_id, task, queue, band, key, head, body = row[:7]
    return JobRecord(
        message=message_of((job_id, task, queue, band, key, head, body))[0],
        state=STATES[state],
        attempt=attempt,
        failures=failures,
        losses=losses,
        releases=releases,
        unknown=unknown,
        enqueued=enqueued,
        due=due,
        started=started,
        finished=finished,
        holder=holder,
        value=value,
        error=failure_of(error) if error else None,
        cancelling=bool(row[21]),
    )


def record_of(row: Row) -> Record:
    """Make the stored form of a job's record, with its version, of such a row."""
    return Record(job_key(row[0]), row[20], _pack(job_of(row)))


def delivery_of(row: Row, holder: str) -> Delivery:
    """Make a delivery of a claimed row.

    After two columns to put rows in order by come due, id, task, queue, band, key, enqueued, attempt;
    failures, losses, releases, unknown; head and body.
    """
    due, job_id, task, queue, band, key, enqueued, attempt = row[2:10]
    failures, losses, releases, unknown, head, body = row[10:16]
    message, unreadable = message_of((job_id, task, queue, band, key, head, body))
    return Delivery(
        message=message,
        fence=Fence(job_id, attempt, holder),
        failures=failures,
        losses=losses,
        releases=releases,
        unknown=unknown,
        enqueued=enqueued,
        due=due,
        unreadable=unreadable,
    )
