"""AMQP 0-9-1 as bytes: frames out and frames in, the frequent ones by hand and the rest by pamqp.

No I/O: what arrives is fed to a `Reader`, which returns what it means.
"""

from __future__ import annotations

import struct
from typing import Any, cast

from msgspec import Struct
from pamqp import commands, decode, encode
from pamqp.base import Frame
from pamqp.common import FieldTable
from pamqp.frame import marshal

GREETING = b"AMQP\x00\x00\x09\x01"
HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"

_END = 0xCE
_METHOD, _HEADER, _BODY, _BEAT = 1, 2, 3, 8
_PERSISTENT = b"\x02"
_frame = struct.Struct(">BHI")
_unpack_frame, _pack_frame = _frame.unpack_from, _frame.pack
_pack_publish = struct.Struct(">BHIHHH").pack
_pack_header = struct.Struct(">BHIHHQH").pack
_unpack_header = struct.Struct(">HHQH").unpack_from
_unpack_index = struct.Struct(">I").unpack_from
_unpack_tag = struct.Struct(">QB").unpack_from
_pack_ack = struct.Struct(">BHIHHQBB").pack

_DELIVER, _ACK, _NACK, _RETURN = 0x3C003C, 0x3C0050, 0x3C0078, 0x3C0032

# The properties that a content may have: flag, in the order in which they are written.
_CONTENT_TYPE, _HEADERS, _MODE, _ID, _TYPE = 1 << 15, 1 << 13, 1 << 12, 1 << 7, 1 << 5
_REPLY_TO, _CORRELATION = 1 << 9, 1 << 10
_SHORT = {15: "content_type", 14: "content_encoding", 10: "correlation_id", 9: "reply_to"}
_SHORT |= {8: "expiration", 7: "message_id", 5: "type", 4: "user_id", 3: "app_id", 2: "cluster_id"}


class Broken(Exception):
    """What arrived is not AMQP."""


class Properties(Struct, kw_only=True, omit_defaults=True):
    """What is known of a content beside its body."""

    content_type: str = ""
    content_encoding: str = ""
    headers: dict[str, Any] | None = None
    correlation_id: str = ""
    reply_to: str = ""
    expiration: str = ""
    message_id: str = ""
    type: str = ""
    user_id: str = ""
    app_id: str = ""
    cluster_id: str = ""


class Delivered(Struct):
    """A message for a consumer."""

    tag: int
    redelivered: bool
    exchange: str
    key: str
    properties: Properties
    body: bytes


class Returned(Struct):
    """A message that no queue wanted."""

    exchange: str
    key: str
    properties: Properties


class Confirmed(Struct):
    """The server has taken what was published under a number, and if `multiple` all before it.

    Or it has refused it.
    """

    tag: int
    multiple: bool
    refused: bool


Event = Delivered | Returned | Confirmed | Frame
"""What can be heard on a channel."""


def method(frame: Frame, channel: int) -> bytes:
    """Write any method."""
    return marshal(frame, channel)


def ack(channel: int, tag: int, *, multiple: bool) -> bytes:
    """Write that a message is done with, or that it and all before it are."""
    return _pack_ack(_METHOD, channel, 13, 60, 80, tag, multiple, _END)


def nack(channel: int, tag: int, *, requeue: bool) -> bytes:
    """Write that a message is given back, or given up."""
    return _pack_ack(_METHOD, channel, 13, 60, 120, tag, 2 if requeue else 0, _END)


class Letter(Struct, frozen=True, gc=False, kw_only=True):
    """What to publish: persistent, and returned if no queue wants it and `mandatory` is set."""

    exchange: str = ""
    key: str
    id: str
    type: str = ""
    content_type: str
    headers: dict[str, Any] | None = None
    correlation_id: str = ""
    reply_to: str = ""
    body: bytes
    mandatory: bool = True


def publish(letter: Letter, channel: int, largest: int) -> bytes:
    """Write a message: method, header and body in one piece; `largest` is that of a frame."""
    exchange, key = _short(letter.exchange), _short(letter.key)
    size = 9 + len(exchange) - 1 + len(key) - 1
    flags, fields = _properties(letter)
    body = letter.body
    parts = [
        _pack_publish(_METHOD, channel, size, 60, 40, 0),
        exchange,
        key,
        b"\x01\xce" if letter.mandatory else b"\x00\xce",
        _pack_header(_HEADER, channel, 14 + len(fields), 60, 0, len(body), flags),
        fields,
        b"\xce",
    ]
    room = largest - 8
    if body and len(body) <= room:
        parts += (_pack_frame(_BODY, channel, len(body)), body, b"\xce")
    elif body:
        for at in range(0, len(body), room):
            piece = body[at : at + room]
            parts += (_pack_frame(_BODY, channel, len(piece)), piece, b"\xce")
    return b"".join(parts)


def _properties(letter: Letter) -> tuple[int, bytes]:
    flags = _CONTENT_TYPE | _MODE | _ID
    fields = _short(letter.content_type)
    if letter.headers:
        flags |= _HEADERS
        fields += encode.field_table(cast("FieldTable", letter.headers))
    fields += _PERSISTENT
    if letter.correlation_id:
        flags |= _CORRELATION
        fields += _short(letter.correlation_id)
    if letter.reply_to:
        flags |= _REPLY_TO
        fields += _short(letter.reply_to)
    fields += _short(letter.id)
    if letter.type:
        flags |= _TYPE
        fields += _short(letter.type)
    return flags, fields


def _short(text: str) -> bytes:
    data = text.encode()
    if len(data) > 255:
        raise ValueError(f"{text[:40]!r}... has more than 255 bytes")
    return bytes((len(data),)) + data


class Reader:
    """Puts together what arrives in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""
        self._open: dict[int, list[Any]] = {}

    def feed(self, data: bytes) -> list[tuple[int, Event]]:
        """Return what has arrived whole, each with its channel. Raises `Broken`."""
        data = self._rest + data if self._rest else data
        found: list[tuple[int, Event]] = []
        at, end = 0, len(data)
        while end - at >= 8:
            kind, channel, size = _unpack_frame(data, at)
            start = at + 7
            stop = start + size
            if stop >= end:
                break
            if data[stop] != _END:
                raise Broken("a frame has no end")
            self._frame(kind, channel, data, start, stop, found)
            at = stop + 1
        self._rest = data[at:]
        if self._rest[:4] == b"AMQP":
            raise Broken("the server speaks another version of AMQP")
        return found

    def _frame(
        self,
        kind: int,
        channel: int,
        data: bytes,
        start: int,
        stop: int,
        found: list[tuple[int, Event]],
    ) -> None:
        if kind == _METHOD:
            (index,) = _unpack_index(data, start)
            if index in {_ACK, _NACK}:
                tag, bits = _unpack_tag(data, start + 4)
                found.append((channel, Confirmed(tag, bool(bits & 1), index == _NACK)))
            elif index in {_DELIVER, _RETURN}:
                self._open[channel] = [index, data[start + 4 : stop], None, 0, b""]
            elif index in commands.INDEX_MAPPING:
                found.append((channel, _method(index, data[start + 4 : stop])))
            else:
                raise Broken(f"nobody knows the method {index:#x}")
        elif kind == _HEADER:
            content = self._open.get(channel)
            if content is None:
                raise Broken("a header belongs to no method")
            _, _, content[3], flags = _unpack_header(data, start)
            content[2] = properties(flags, data, start + 14)
            if not content[3]:
                self._close(channel, found)
        elif kind == _BODY:
            content = self._open.get(channel)
            if content is None:
                raise Broken("a body belongs to no method")
            content[4] += data[start:stop]
            if len(content[4]) >= content[3]:
                self._close(channel, found)
        elif kind != _BEAT:
            raise Broken(f"nobody knows frames of type {kind}")

    def _close(self, channel: int, found: list[tuple[int, Event]]) -> None:
        index, arguments, known, _, body = self._open.pop(channel)
        if index == _DELIVER:
            at = 1 + arguments[0]
            tag, redelivered = _unpack_tag(arguments, at)
            exchange, at = _text(arguments, at + 9)
            key, at = _text(arguments, at)
            event: Event = Delivered(tag, bool(redelivered), exchange, key, known, body)
        else:
            _, at = _text(arguments, 2)
            exchange, at = _text(arguments, at)
            key, at = _text(arguments, at)
            event = Returned(exchange, key, known)
        found.append((channel, event))


def _method(index: int, arguments: bytes) -> Frame:
    found: Frame = commands.INDEX_MAPPING[index]()
    try:
        found.unmarshal(arguments)
    except (struct.error, ValueError, IndexError) as error:
        raise Broken(f"{found.name} cannot be read: {error}") from error
    return found


def properties(flags: int, data: bytes, at: int) -> Properties:
    """Read what the header of a content says."""
    found = Properties()
    for bit in range(15, 1, -1):
        if not flags & 1 << bit:
            continue
        if name := _SHORT.get(bit):
            text, at = _text(data, at)
            setattr(found, name, text)
        elif bit == 13:
            (size,) = _unpack_index(data, at)
            try:
                found.headers = decode.field_table(data[at : at + 4 + size])[1]
            except (ValueError, struct.error) as error:
                raise Broken(f"a table of headers cannot be read: {error}") from error
            at += 4 + size
        else:
            at += 8 if bit == 6 else 1  # the timestamp; delivery mode and priority
    return found


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + data[at]
    return data[at + 1 : end].decode("utf-8", "replace"), end
