"""Topics, subscriptions and events as plain values."""

from __future__ import annotations

from typing import Any

import msgspec

from ropeway.topics.browsing import SubscriptionInfo, TopicInfo, Unreadable
from ropeway.topics.events import Event
from ropeway.words import iso

FIELDS = (
    "topic",
    "type",
    "version",
    "partitions",
    "events",
    "published",
    "oldest",
    "subscriptions",
    "bindings",
    "keep",
)
SUBSCRIPTION_FIELDS = (
    "topic",
    "partition",
    "subscription",
    "offset",
    "lag",
    "oldest",
    "parked",
    "missed",
    "gap",
    "holder",
    "replay",
    "until",
    "exchange",
)
EVENT_FIELDS = (
    "topic",
    "partition",
    "offset",
    "time",
    "id",
    "key",
    "headers",
    "version",
    "source",
    "data",
)


def summary(info: TopicInfo) -> dict[str, Any]:
    """Return a topic for programs."""
    topic = info.topic
    return {
        "topic": topic.name,
        "type": topic.kind or None,
        "version": topic.version,
        "partitions": topic.partitions,
        "events": info.events,
        "published": info.published,
        "oldest": iso(info.oldest),
        "subscriptions": info.subscriptions,
        "bindings": [f"{each.source} {each.key}".strip() for each in info.bindings],
        "keep": msgspec.structs.asdict(topic.keep),
    }


def standing(info: SubscriptionInfo) -> dict[str, Any]:
    """Return how a subscription stands, for programs."""
    return {
        "topic": info.topic,
        "partition": info.partition,
        "subscription": f"{info.pattern}/{info.name}",
        "offset": info.offset,
        "lag": info.lag,
        "oldest": info.oldest,
        "parked": info.parked,
        "missed": info.missed,
        "gap": info.gap,
        "holder": info.holder,
        "replay": info.replay or None,
        "until": info.until,
        "exchange": info.exchange or None,
    }


def shown(event: Event[Any]) -> dict[str, Any]:
    """Return an event for programs; data that cannot be read as text is told of."""
    data = event.data
    if isinstance(data, Unreadable):
        data = {"unreadable": data.reason}
    return {
        "topic": event.topic,
        "partition": event.partition,
        "offset": event.offset,
        "time": iso(event.time),
        "id": event.id,
        "key": event.key,
        "headers": event.headers,
        "version": event.version,
        "source": event.source or None,
        "data": data,
    }
