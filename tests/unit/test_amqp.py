"""What RabbitMQ is told and tells, as bytes and as values, without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.frame import marshal
from pamqp.header import ContentHeader

from ropeway.backends.rabbitmq import parse
from ropeway.backends.rabbitmq.frames import Broken, Delivered, Letter, Properties, Reader, publish
from ropeway.backends.rabbitmq.letters import UNREADABLE, letter_of, message_from
from ropeway.errors import ConfigError
from ropeway.ids import derived_id
from ropeway.locations import Host
from ropeway.message import KINDS, Message, Terms
from ropeway.retry import RetryPolicy

MESSAGES = st.builds(
    Message,
    id=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60),
    task=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60),
    body=st.binary(max_size=300),
    queue=st.just("q"),
    kind=st.sampled_from(KINDS),
    headers=st.dictionaries(
        st.text("abc-é", min_size=1, max_size=9), st.text(st.characters(codec="utf-8")), max_size=3
    ),
    trace=st.none() | st.text("0123456789abcdef-", max_size=55),
    terms=st.none() | st.builds(Terms, timeout=st.floats(0, 9), tags=st.just(("a", "ä"))),
    policy=st.none() | st.just(RetryPolicy(retries=7)),
    exchange=st.sampled_from(["", "logs"]),
    routing_key=st.sampled_from(["", "a.b"]),
)


def delivery(letter: Letter, size: int) -> bytes:
    """What a server would send for what was published, in frames of `size`."""
    frames = [publish(letter, 1, size)]
    method = commands.Basic.Deliver("c", 9, True, "", letter.key)
    whole = frames[0]
    start = int.from_bytes(whole[3:7], "big") + 8  # after the method
    return marshal(method, 1) + whole[start:]


@given(MESSAGES, st.integers(1, 40), st.sampled_from([64, 131_072]))
def test_a_message_arrives_as_it_was_sent(message: Message, piece: int, size: int) -> None:
    """Whatever is in it, and in whatever pieces it comes."""
    letter, reader, found = letter_of(message), Reader(), []
    data = delivery(letter, size)
    for at in range(0, len(data), piece):
        found += reader.feed(data[at : at + piece])
    ((channel, event),) = found
    assert isinstance(event, Delivered)
    assert (channel, event.tag, event.redelivered) == (1, 9, True)
    assert message_from(event, "q", message.kind) == message


def test_every_property_of_others_is_read() -> None:
    """Also those that come between the ones that count."""
    whole = commands.Basic.Properties(
        "text/plain",
        "gzip",
        {"task": "t", "n": 5, "x-delivery-count": 3},
        1,
        4,
        "c",
        "r",
        "60000",
        "m",
    )
    data = marshal(commands.Basic.Deliver("c", 1, False, "logs", "a.b"), 3)
    data += marshal(ContentHeader(0, 2, whole), 3) + marshal(ContentBody(b"hi"), 3)
    ((_, event),) = Reader().feed(data)
    assert isinstance(event, Delivered)
    message = message_from(event, "q", "threads")
    job_id = derived_id("m", "q")  # in another queue that the exchange leads to it is another job
    assert (message.id, message.task, message.body) == (job_id, "t", b"hi")
    assert (message.exchange, message.routing_key) == ("logs", "a.b")
    assert message.headers == {"n": "5", "amqp-reply-to": "r", "amqp-correlation-id": "c"}
    assert message.content_type == "text/plain"
    assert event.properties.reply_to == "r"


def test_what_cannot_be_read_is_kept_whole() -> None:
    """A head that is broken makes a message that no codec takes, not an error of the reader."""
    known = Properties(
        message_id="m", type="t", content_type="application/json", headers={"ropeway": "{"}
    )
    message = message_from(Delivered(1, False, "", "q", known, b"{}"), "q", "threads")
    assert (message.content_type, message.body) == (UNREADABLE, b"{}")
    nameless = message_from(Delivered(1, False, "", "q", Properties(), b"?"), "q", "threads")
    assert nameless.id
    assert nameless.content_type == "application/octet-stream"


@pytest.mark.parametrize(
    "data",
    [
        b"AMQP\x00\x00\x09\x01",
        b"\x01\x00\x00\x00\x00\x00\x04\xff\xff\xff\xff\xce",
        b"\x01\x00\x00\x00\x00\x00\x01a!",
        b"\x02\x00\x01\x00\x00\x00\x01a\xce",
        b"\x05\x00\x01\x00\x00\x00\x01a\xce",
    ],
)
def test_what_is_no_amqp_is_refused(data: bytes) -> None:
    """Rather than waited for."""
    with pytest.raises(Broken):
        Reader().feed(data)


def test_urls() -> None:
    """As people and services write them."""
    plain = parse("amqp://")
    assert (plain.hosts, plain.vhost, plain.login.user) == (
        (Host("localhost", 5672),),
        "/",
        "guest",
    )
    cloud = parse("amqps://u%40x:p%2Fw@cow.rmq2.cloudamqp.com/u")
    assert (cloud.login.user, cloud.login.password, cloud.vhost) == ("u@x", "p/w", "u")
    assert cloud.hosts[0].port == 5671
    many = parse("amqp://a:b@h1,h2:5673,[::1]:9/%2F?timeout=2s&heartbeat=30")
    assert [str(each) for each in many.hosts] == ["h1:5672", "h2:5673", "[::1]:9"]
    assert (many.vhost, many.timeout, many.heartbeat) == ("/", 2.0, 30)
    assert parse("amqps://h/?cert=a.pem&key=b.pem").external
    assert "secret" not in repr(parse("amqp://u:secret@h"))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("amqp://u:secret@h:0", "no host"),
        ("amqp://u:secret@h/a/b", "one word"),
        ("amqp://u:secret@h?ca=x", "no option 'ca'"),
        ("amqps://u:secret@h?cert=x", "belong together"),
        ("amqp://u:secret@h?timeout=0", "cannot be used"),
        ("http://u:secret@h", "no URL"),
    ],
)
def test_urls_that_cannot_be_used(url: str, told: str) -> None:
    """Each is told in one line, without the password."""
    with pytest.raises(ConfigError, match=told) as caught:
        parse(url)
    assert "secret" not in str(caught.value)
