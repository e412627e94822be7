"""CloudEvents 1.0 in and out: the examples of the specification, and what is refused.

The events named so are those of the specification, the JSON format and the HTTP binding of
CloudEvents 1.0.2 (Apache License 2.0).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from ropeway import Ropeway
from ropeway.errors import BadArguments, TopicNotFound
from ropeway.topics import cloudevents
from ropeway.topics.cloudevents import CloudEvent, binary, read, structured

OF_THE_SPECIFICATION: dict[str, dict[str, Any]] = {
    "spec": {
        "specversion": "1.0",
        "type": "com.github.pull_request.opened",
        "source": "https://github.com/cloudevents/spec/pull",
        "subject": "123",
        "id": "A234-1234-1234",
        "time": "2018-04-05T17:31:00Z",
        "comexampleextension1": "value",
        "comexampleothervalue": 5,
        "datacontenttype": "text/xml",
        "data": '<much wow="xml"/>',
    },
    "json": {
        "specversion": "1.0",
        "type": "com.example.someevent",
        "source": "/mycontext",
        "subject": None,
        "id": "C234-1234-1234",
        "time": "2018-04-05T17:31:00Z",
        "comexampleextension1": "value",
        "comexampleothervalue": 5,
        "datacontenttype": "application/json",
        "data": {"appinfoA": "abc", "appinfoB": 123, "appinfoC": True},
    },
    "base64": {
        "specversion": "1.0",
        "type": "com.example.someevent",
        "source": "/mycontext",
        "id": "D234-1234-1234",
        "time": "2018-04-05T17:31:00Z",
        "datacontenttype": "application/vnd.apache.thrift.binary",
        "data_base64": "gP/+AQ==",
    },
    "least": {
        "specversion": "1.0",
        "type": "com.example.someevent",
        "source": "/mycontext",
        "id": "A",
    },
}
BINARY = {
    "ce-specversion": "1.0",
    "ce-type": "com.example.someevent",
    "ce-time": "2018-04-05T03:56:24Z",
    "ce-id": "1234-1234-1234",
    "ce-source": "/mycontext/subcontext",
    "Content-Type": "application/json; charset=utf-8",
}
_STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}


@pytest.fixture
def app() -> Iterator[Ropeway]:
    """Return an app in a sandbox, with the topics of the examples."""
    app = Ropeway("memory://")
    app.topic("com.github.pull_request.opened")
    app.topic("com.example.someevent")
    with app.testing():
        yield app


@pytest.mark.parametrize("name", OF_THE_SPECIFICATION)
@pytest.mark.parametrize("mode", [structured, binary])
def test_examples_of_the_specification_come_in_and_go_out(
    app: Ropeway, name: str, mode: Any
) -> None:
    """Through a topic and out again nothing is lost, in either mode."""
    given = OF_THE_SPECIFICATION[name]
    assert app.topics.accept(_STRUCTURED, json.dumps(given).encode()) == given["id"]
    (event,) = app.topics.topic(given["type"]).history()
    assert (event.id, event.source) == (given["id"], given["source"])
    back = read(*mode(cloudevents.of(event)))
    told = {**back.attributes}
    wanted = {n: str(v) for n, v in given.items() if v is not None and not n.startswith("data")}
    if "time" not in given:
        del told["time"]
    assert told.pop("datacontenttype", None) == given.get("datacontenttype", "application/json")
    assert told == wanted
    _, body = structured(back)
    again = json.loads(body)
    for field in ("data", "data_base64"):
        assert again.get(field) == given.get(field)


def test_the_example_of_binary_mode_comes_in(app: Ropeway) -> None:
    """With its data, and its headers in whatever case."""
    app.topics.accept(BINARY, b'{"a": 1}')
    (event,) = app.topics.topic("com.example.someevent").history()
    assert (event.id, event.source, event.data) == (
        "1234-1234-1234",
        "/mycontext/subcontext",
        {"a": 1},
    )
    assert event.time == 1522900584.0


def test_values_of_headers_are_percent_encoded() -> None:
    """As the HTTP binding has it, with its own example."""
    attributes = {
        "specversion": "1.0",
        "id": "1",
        "source": "/",
        "type": "t",
        "subject": "Euro € 😀",
    }
    headers, body = binary(CloudEvent(attributes=attributes))
    assert headers["ce-subject"] == "Euro%20%E2%82%AC%20%F0%9F%98%80"
    assert read(headers, body).attributes == attributes


def test_an_event_of_ours_goes_out_and_comes_back(app: Ropeway) -> None:
    """Key, version, headers and data; a header that cannot be an attribute is said."""

    class Paid(Struct):
        cents: int

    paid = app.topic("paid", Paid, version=3)
    paid.publish(Paid(cents=5), key="k", headers={"country": "cn"})
    (event,) = paid.history()
    for mode in (structured, binary):
        type, stored = cloudevents.stored(read(*mode(cloudevents.of(event))))
        assert (type, stored.id, stored.key, stored.version) == ("paid", event.id, "k", 3)
        assert (stored.headers, stored.data) == ({"country": "cn"}, b'{"cents":5}')
    paid.publish(Paid(cents=5), headers={"X-Country": "cn"})
    with pytest.raises(BadArguments, match="X-Country"):
        cloudevents.of(paid.history(last=1)[0])
    wrong = msgspec.json.encode(OF_THE_SPECIFICATION["json"] | {"type": "paid"})
    with pytest.raises(BadArguments, match="cents"):
        app.topics.accept(_STRUCTURED, wrong)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"{}"),
        (_STRUCTURED, b"{"),
        (_STRUCTURED, b"[]"),
        (_STRUCTURED, b'{"id":"1"}'),
        (_STRUCTURED, b'{"id":"1","source":"/","type":"t","specversion":"0.3"}'),
        (_STRUCTURED, b'{"id":"1","source":"/","type":"t","specversion":"1.0","Bad":"x"}'),
        (_STRUCTURED, b'{"id":"1","source":"/","type":"t","specversion":"1.0","time":"now"}'),
        (_STRUCTURED, b'{"id":"1","source":"/","type":"t","specversion":"1.0","data_base64":"="}'),
        ({"Content-Type": "application/cloudevents-batch+json"}, b"[]"),
        (BINARY, b"{"),
    ],
)
def test_what_is_no_cloudevent_is_refused(
    app: Ropeway, headers: dict[str, str], body: bytes
) -> None:
    """One clear error, and nothing is published."""
    with pytest.raises(BadArguments):
        app.topics.accept(headers, body)
    assert app.topics.topic("com.example.someevent").history() == []


def test_headers_take_the_place_of_no_attribute(app: Ropeway) -> None:
    """Whatever they are called: an event says its own id, type and version of the format."""
    topic = app.topic("t", int)
    event = topic.publish(1, headers={"id": "x", "type": "y", "specversion": "9", "extra": "z"})
    (kept,) = topic.history()
    told = cloudevents.of(kept).attributes
    assert (told["id"], told["type"], told["specversion"]) == (event.id, "t", "1.0")
    assert told["extra"] == "z"


def test_an_event_of_an_unknown_topic_is_refused(app: Ropeway) -> None:
    """Nobody can make topics by sending events."""
    with pytest.raises(TopicNotFound):
        app.topics.accept({**BINARY, "ce-type": "no.such"}, b"{}")
