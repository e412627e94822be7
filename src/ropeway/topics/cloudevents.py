"""CloudEvents 1.0: events as other systems send and take them, in structured and binary mode.

The type of a CloudEvent is the name of a topic, its `partitionkey` the key, and what else it says
beside its data goes into the headers. Data that are no JSON are a text, or base64.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from ropeway.errors import BadArguments
from ropeway.topics.events import Event, Stored, checked_headers

STRUCTURED = "application/cloudevents+json"

_SPECVERSION = "1.0"
_REQUIRED = ("id", "source", "type", "specversion")
_KEY, _VERSION, _ENCODED = "partitionkey", "schemaversion", "datacontentencoding"
_NAME = re.compile(r"[a-z0-9]{1,20}")
_JSON = re.compile(r"[^/]+/(.+\+)?json\b", re.IGNORECASE)
_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


class CloudEvent(Struct, frozen=True, kw_only=True):
    """One CloudEvent: its attributes as texts, extensions too, and its data, or None.

    `data` are bytes as they stand in a body, of the type that `datacontenttype` names.
    """

    attributes: dict[str, str]
    data: bytes | None = None

    @property
    def is_json(self) -> bool:
        """Whether its data are JSON; they are if nothing else is said."""
        return _JSON.match(self.attributes.get("datacontenttype", "application/json")) is not None


# -- in ------------------------------------------------------------------------------------


def read(headers: Mapping[str, str], body: bytes) -> CloudEvent:
    """Read a request, by its headers in whatever mode it is; raises `BadArguments`."""
    there = {name.lower(): value for name, value in headers.items()}
    kind = there.get("content-type", "").partition(";")[0].strip().lower()
    if kind == STRUCTURED:
        return read_structured(body)
    if kind.startswith("application/cloudevents"):
        raise BadArguments(
            f"events as {kind} are not read", hint=f"send {STRUCTURED}, or binary mode"
        )
    attributes = {
        name[3:]: unquote(value, errors="strict") if "%" in value else value
        for name, value in there.items()
        if name.startswith("ce-")
    }
    if "content-type" in there:
        attributes["datacontenttype"] = there["content-type"]
    return checked(CloudEvent(attributes=attributes, data=body or None))


_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_WHOLE = re.compile("[0-9]{1,9}")


def read_structured(body: bytes) -> CloudEvent:
    """Read one event in the JSON format; raises `BadArguments`."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, Raw])
        values = {
            name: msgspec.json.decode(raw, type=str | bool | int | None)
            for name, raw in fields.items()
            if name not in {"data", "data_base64"}
        }
        attributes = {n: _text(value) for n, value in values.items() if value is not None}
        data = _data(fields, attributes)
    except (*_UNREADABLE, binascii.Error) as error:
        raise BadArguments(f"the body is no CloudEvent: {error}") from None
    return checked(CloudEvent(attributes=attributes, data=data))


def _data(fields: Mapping[str, Raw], attributes: Mapping[str, str]) -> bytes | None:
    if "data_base64" in fields:
        encoded = msgspec.json.decode(fields["data_base64"], type=str)
        return base64.b64decode(encoded, validate=True)
    if "data" not in fields:
        return None
    raw = bytes(fields["data"])
    if CloudEvent(attributes=dict(attributes)).is_json:
        return raw
    told = msgspec.json.decode(raw)
    return told.encode() if isinstance(told, str) else raw


def checked(event: CloudEvent) -> CloudEvent:
    """Return an event that has what it must have, or raise `BadArguments`."""
    missing = [name for name in _REQUIRED if not event.attributes.get(name)]
    if missing:
        raise BadArguments(
            f"it is no CloudEvent: {', '.join(missing)} must be there",
            hint="in binary mode the headers begin with ce-",
        )
    if event.attributes["specversion"] != _SPECVERSION:
        raise BadArguments(
            f"it is a CloudEvent of version {event.attributes['specversion']!r}",
            hint=f"send version {_SPECVERSION}",
        )
    wrong = next((name for name in event.attributes if not _NAME.fullmatch(name)), None)
    if wrong is not None:
        raise BadArguments(
            f"{wrong!r} names no attribute of a CloudEvent", hint="lower-case letters and digits"
        )
    return event


def stored(event: CloudEvent) -> tuple[str, Stored]:
    """Return the topic of a CloudEvent, and the event as a topic keeps it."""
    rest = dict(event.attributes)
    id, source, type, _ = (rest.pop(name) for name in _REQUIRED)
    key, time, version = rest.pop(_KEY, None), rest.pop("time", None), rest.pop(_VERSION, "1")
    data = event.data if event.data is not None else b"null"
    if event.is_json:
        if rest.get("datacontenttype", "").partition(";")[0].strip() == "application/json":
            del rest["datacontenttype"]
        _refuse_broken(data)
    else:
        data = _as_json(data, rest)
    return type, Stored(
        id,
        data,
        key,
        checked_headers(rest),
        _number(version),
        "json",
        source,
        None if time is None else _instant(time),
    )


def _refuse_broken(data: bytes) -> None:
    try:
        msgspec.json.decode(data)
    except _UNREADABLE as error:
        raise BadArguments(f"the data of a CloudEvent are no JSON: {error}") from None


def _as_json(data: bytes, headers: dict[str, str]) -> bytes:
    """Write data that are no JSON as a JSON text; bytes that are no text as base64."""
    try:
        return msgspec.json.encode(data.decode())
    except UnicodeDecodeError:
        headers[_ENCODED] = "base64"
        return msgspec.json.encode(base64.b64encode(data).decode())


def as_json(data: bytes, content_type: str) -> tuple[bytes, dict[str, str]]:
    """Return data of any type as JSON, with what is to be said of it beside.

    What says nothing of its type, or that it is bytes, is JSON if it can be read as that.
    """
    event = CloudEvent(attributes={"datacontenttype": content_type})
    if event.is_json:
        _refuse_broken(data)
        return data, {}
    if content_type == "application/octet-stream":
        try:
            _refuse_broken(data)
        except BadArguments:
            pass
        else:
            return data, {}
    headers = {"datacontenttype": content_type}
    return _as_json(data, headers), headers


def _number(version: str) -> int:
    if not _WHOLE.fullmatch(version) or int(version) < 1:
        raise BadArguments(f"{_VERSION}={version!r} is not a version", hint="write 1, 2, 3, ...")
    return int(version)


def _instant(time: str) -> float:
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        raise BadArguments(f"time={time!r} is not a date of RFC 3339") from None
    if found.tzinfo is None:
        raise BadArguments(f"time={time!r} has no time zone")
    return found.timestamp()


def _text(value: str | bool | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# -- out -----------------------------------------------------------------------------------


def without_unfit(event: Event[Any]) -> Event[Any]:
    """Return an event without the headers that cannot be attributes of a CloudEvent."""
    fit = {name: value for name, value in event.headers.items() if _NAME.fullmatch(name)}
    return event if len(fit) == len(event.headers) else replace(event, headers=fit)


def of(event: Event[Any], source: str = "/ropeway") -> CloudEvent:
    """Return an event as a CloudEvent; `source` says where it is from if it does not itself.

    Raises `BadArguments` if one of its headers cannot be an attribute there.
    """
    wrong = next((name for name in event.headers if not _NAME.fullmatch(name)), None)
    if wrong is not None:
        raise BadArguments(
            f"header {wrong!r} cannot be an attribute of a CloudEvent",
            hint="name it in lower-case letters and digits, 20 at most",
        )
    attributes = {
        "datacontenttype": "application/json",
        **{name: value for name, value in event.headers.items() if name not in {_KEY, _VERSION}},
        "specversion": _SPECVERSION,
        "id": event.id,
        "source": event.source or source,
        "type": event.topic,
        "time": datetime.fromtimestamp(event.time, UTC).isoformat().replace("+00:00", "Z"),
    }
    if event.key is not None:
        attributes[_KEY] = event.key
    if event.version != 1:
        attributes[_VERSION] = str(event.version)
    encoded = attributes.pop(_ENCODED, "") == "base64"
    made = CloudEvent(attributes=attributes)
    if made.is_json:
        data = msgspec.json.encode(event.data)
    else:
        data = base64.b64decode(event.data) if encoded else str(event.data).encode()
    return CloudEvent(attributes=attributes, data=data)


def structured(event: CloudEvent) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a request in structured mode."""
    fields: dict[str, Any] = dict(event.attributes)
    if event.data is not None:
        if event.is_json:
            fields["data"] = Raw(event.data)
        else:
            try:
                fields["data"] = event.data.decode()
            except UnicodeDecodeError:
                fields["data_base64"] = base64.b64encode(event.data).decode()
    return {"content-type": f"{STRUCTURED}; charset=utf-8"}, msgspec.json.encode(fields)


def binary(event: CloudEvent) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a request in binary mode."""
    headers = {
        f"ce-{name}": quote(value, safe=_SAFE)
        for name, value in event.attributes.items()
        if name != "datacontenttype"
    }
    if "datacontenttype" in event.attributes:
        headers["content-type"] = event.attributes["datacontenttype"]
    return headers, event.data or b""
