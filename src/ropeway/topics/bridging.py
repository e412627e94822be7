"""Topics and exchanges: an event as a message of AMQP, and a message as an event; all pure.

Attributes of CloudEvents travel in binary mode, as headers that begin with `cloudEvents_`. An event's
own headers travel as they are besides, so that an exchange can go by them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ropeway.broker_half import CORRELATION, OWN_ID, PUBLISHED_ID, REPLY_TO
from ropeway.codecs import MSGPACK
from ropeway.decide import Keep
from ropeway.errors import BadArguments
from ropeway.message import Delivery, Message
from ropeway.reference import reference_of
from ropeway.states import State
from ropeway.topics import cloudevents
from ropeway.topics.cloudevents import CloudEvent
from ropeway.topics.events import Event, Stored, checked_headers, encode_stored, stored_key
from ropeway.topics.records import TopicRecord, log_of, partition_of
from ropeway.transition import Append, Finish, Reject, Transition

ROUTED_BY = "routingkey"
"""The header of an event that says with which routing key it came."""

_HOPS, _MOST_HOPS = "ropewayhops", 8
"""The header that counts how many bridges an event has crossed: so many are a circle."""

_PREFIX = "cloudEvents_"
_PREFIXES = (_PREFIX, "cloudEvents:")
_OWN = frozenset({REPLY_TO, CORRELATION, PUBLISHED_ID, OWN_ID})


def message_of(event: Event[Any], id: str, exchange: str, key: str) -> Message:
    """Return what is published to an exchange for an event: its data, and all about it beside.

    Its task is the topic, for those who handle it by tasks.
    """
    told = cloudevents.of(cloudevents.without_unfit(event))
    attributes = {
        f"{_PREFIX}{name}": value
        for name, value in told.attributes.items()
        if name != "datacontenttype"
    }
    return Message(
        id=id,
        task=event.topic,
        body=told.data or b"",
        headers={**event.headers, **attributes},
        content_type=told.attributes.get("datacontenttype", "application/json"),
        exchange=exchange,
        routing_key=key,
        mandatory=False,
    )


def taken_in(delivery: Delivery, topic: TopicRecord | None, keep: Keep, most: int) -> Transition:
    """Return what ends a message by making an event of it, in one step; or puts it aside."""
    message, fence = delivery.message, delivery.fence
    if delivery.forged is not None:
        settle = Reject("bad_signature", delivery.forged, keep=keep.failure)
        return Transition(fence=fence, settle=settle)
    try:
        if topic is None:
            raise BadArguments(f"there is no topic for what comes to {message.queue!r}")
        if delivery.unreadable is not None:
            raise BadArguments(delivery.unreadable)
        event = event_of_message(message, topic)
        value = encode_stored(event)
        if len(value) > most or reference_of(message.body) is not None:
            raise BadArguments(f"an event may take max_message={most:,} bytes, and this takes more")
    except BadArguments as error:
        settle = Reject("bad_arguments", error.fact, keep=keep.failure)
        return Transition(fence=fence, settle=settle)
    number = 0 if event.key is None else partition_of(event.key, topic.partitions)
    append = Append(log_of(topic.name, number), value)
    return Transition(
        fence=fence, append=(append,), settle=Finish(State.SUCCEEDED, keep=keep.result)
    )


def event_of_message(message: Message, topic: TopicRecord) -> Stored:
    """Return the event that a message tells of; raises `BadArguments` where there is none in it."""
    told = _cloud_event(message)
    if told is None:
        event = _plain(message)
    else:
        _, event = cloudevents.stored(told)
    headers = _beside(message) | dict(event.headers)
    if told is not None:
        headers[_HOPS] = _one_more(headers.get(_HOPS, "0"))
    if message.routing_key:
        headers[ROUTED_BY] = message.routing_key
    key = event.key if event.key is not None or not topic.key else stored_key(event, topic.key)
    return msgspec.structs.replace(event, key=key, headers=checked_headers(headers))


def _one_more(hops: str) -> str:
    crossed = int(hops) + 1 if hops.isdecimal() and len(hops) < 4 else 1
    if crossed > _MOST_HOPS:
        raise BadArguments(
            f"it has come from topics {_MOST_HOPS} times: topics and exchanges are bound in a circle"
        )
    return str(crossed)


def _cloud_event(message: Message) -> CloudEvent | None:
    if message.content_type.partition(";")[0].strip().lower() == cloudevents.STRUCTURED:
        return cloudevents.read_structured(message.body)
    attributes = {
        name[len(_PREFIX) :]: value
        for name, value in message.headers.items()
        if name.startswith(_PREFIXES)
    }
    if not attributes:
        return None
    return cloudevents.checked(
        CloudEvent(
            attributes={**attributes, "datacontenttype": message.content_type}, data=message.body
        )
    )


def _plain(message: Message) -> Stored:
    """Return a message of anybody's as an event, under the id that it came with."""
    id = message.headers.get(PUBLISHED_ID, message.id)
    if message.content_type == MSGPACK.content_type:
        return Stored(id, message.body, None, {}, 1, "msgpack")
    data, headers = cloudevents.as_json(message.body, message.content_type)
    return Stored(id, data, None, headers, 1, "json")


def _beside(message: Message) -> dict[str, str]:
    """Return the headers that are neither the message's own nor attributes of an event."""
    return {
        name: value
        for name, value in message.headers.items()
        if name not in _OWN and not name.startswith(_PREFIXES)
    }
