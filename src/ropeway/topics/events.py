"""An event: what is stored of it, and what subscribers see."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from ropeway.codec import Codec, Undecodable
from ropeway.codecs import JSON, MSGPACK
from ropeway.errors import BadArguments
from ropeway.ids import new_id
from ropeway.transition import Entry

T = TypeVar("T")

MARKER = b""
"""An entry without an event, by which a log goes on after all its events have been removed."""

_LONGEST_HEADERS, _LONGEST_KEY = 16_384, 255
_FORMATS: dict[str, Codec] = {"json": JSON, "msgpack": MSGPACK}


class Event(Struct, Generic[T], frozen=True, kw_only=True):
    """Something that has happened: its `data`, and where and when it was published.

    `time` is in seconds since the Unix epoch. Events of one `key` are in one partition, in the
    order of their offsets. `version` is that of the schema that `data` was written for.
    """

    data: T
    id: str
    topic: str
    partition: int
    offset: int
    time: float
    key: str | None = None
    headers: dict[str, str] = {}
    version: int = 1
    source: str = ""


class Stored(Struct, frozen=True, gc=False, array_like=True, omit_defaults=True):
    """What a log holds of an event; `format` says how `data` is written."""

    id: str
    data: bytes
    key: str | None = None
    headers: dict[str, str] = {}
    version: int = 1
    format: str = "json"
    source: str = ""
    time: float | None = None

    @property
    def content_type(self) -> str:
        """The content type of its data."""
        return _FORMATS[self.format].content_type if self.format in _FORMATS else self.format


encode_stored = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Stored).decode


def stored_of(entry: Entry) -> Stored | None:
    """Read an entry of a log; None if it holds no event."""
    return None if entry.value == MARKER else _decode(entry.value)


def event_of(topic: str, partition: int, entry: Entry, stored: Stored, data: T) -> Event[T]:
    """Put together an event with its `data`, decoded or not."""
    return Event(
        data=data,
        id=stored.id,
        topic=topic,
        partition=partition,
        offset=entry.offset,
        time=entry.appended if stored.time is None else stored.time,
        key=stored.key,
        headers=stored.headers,
        version=stored.version,
        source=stored.source,
    )


def data_of(stored: Stored, kind: Any) -> Any:
    """Decode the data of an event; `Undecodable` if it is not of that kind."""
    codec = _FORMATS.get(stored.format)
    return (
        Undecodable(f"unknown format {stored.format!r}")
        if codec is None
        else codec.decode(stored.data, kind)
    )


def stored_key(stored: Stored, field: str) -> str | None:
    """Return the key that a field of an event's data says; None if it has no such field."""
    data = data_of(stored, Any)
    if not isinstance(data, dict) or data.get(field) is None:
        return None
    value = data[field]
    return _checked_key(value if isinstance(value, str) else str(value))


def check_data(event: Stored, kind: Any, topic: str) -> None:
    """Raise `BadArguments` if the data of an event are not of the type of its topic."""
    checked = data_of(event, kind)
    if isinstance(checked, Undecodable):
        raise BadArguments(f"an event of topic {topic}: {checked.reason}", hint="nothing was sent")


def written(
    data: Any,
    kind: Any,
    topic: str,
    *,
    key: str | None,
    headers: Mapping[str, str] | None,
    version: int,
    format: str,
    id: str | None,
) -> Stored:
    """Check and write an event; raises `BadArguments` or `NotEncodable`."""
    codec = _FORMATS[format]
    encoded = codec.encode(data)
    checked = codec.decode(encoded, kind)
    if isinstance(checked, Undecodable):
        raise BadArguments(f"an event of topic {topic}: {checked.reason}", hint="nothing was sent")
    return Stored(
        new_id() if id is None else _checked_id(id),
        encoded,
        None if key is None else _checked_key(key),
        {} if headers is None else checked_headers(headers),
        version,
        format,
    )


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return usable headers, or raise `BadArguments`."""
    texts = isinstance(headers, Mapping) and all(
        isinstance(text, str) for pair in headers.items() for text in pair
    )
    if not texts or sum(len(n) + len(v) for n, v in headers.items()) > _LONGEST_HEADERS:
        raise BadArguments("headers have to be texts by name, of at most 16 KiB together")
    return dict(headers)


def _checked_key(key: str) -> str:
    if not isinstance(key, str) or not 0 < len(key) <= _LONGEST_KEY:
        raise BadArguments(
            f"key={key!r:.100} cannot be", hint="write a text of 1 to 255 characters"
        )
    return key


def _checked_id(given: str) -> str:
    if not isinstance(given, str) or not 0 < len(given) <= _LONGEST_KEY:
        raise BadArguments(
            f"id={given!r:.100} cannot be", hint=f"write a text such as {uuid.uuid4()}"
        )
    return given
