"""Topics, subscriptions and events as people are shown them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ropeway.cli.listing import Drawn
from ropeway.cli.output import to_json
from ropeway.cli.table import Column
from ropeway.errors import BadArguments, TopicNotFound
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.topics.browsing import topic_info
from ropeway.topics.positions import place_of
from ropeway.topics.records import (
    Start,
    TopicRecord,
    all_subscriptions,
    checked_name,
    fits,
    topics_of,
)
from ropeway.words import NOTHING, duration


def a_place(text: str) -> Start:
    """Read where in a topic: start, now, an offset, a date, or how long ago."""
    try:
        return place_of(text)
    except BadArguments as error:
        raise click.BadParameter(f"{error.fact}; {error.hint}") from None


def found(backend: Backend, name: str) -> TopicRecord:
    """Return a topic; raises `TopicNotFound`."""
    topics = step(topics_of(backend, checked_name(name, "topic")))
    if not topics:
        raise TopicNotFound(f"there is no topic {name!r}", hint="see: ropeway topics ls")
    return topics[0]


async def ways(backend: Backend, topic: TopicRecord) -> list[str]:
    """Say by which exchanges a topic is fed, and which it feeds."""
    info = await topic_info(backend, topic)
    fed = [f"{each.source} -[{each.key}]-> {topic.name}" for each in info.bindings]
    feeding = [each for each in await all_subscriptions(backend) if each.exchange]
    return fed + [
        f"{topic.name} -[{topic.name if each.routing_key is None else each.routing_key}]-> "
        f"{each.exchange}"
        for each in feeding
        if fits(each.pattern, topic.name)
    ]


def drawn(records: Sequence[dict[str, Any]]) -> Drawn:
    """Draw topics."""
    columns = (
        Column(heading="TOPIC", least=12),
        Column(heading="EVENTS", right=True),
        Column(heading="OLDEST", optional=1),
        Column(heading="PARTITIONS", right=True, optional=2),
        Column(heading="SUBSCRIPTIONS", right=True),
        Column(heading="TYPE", least=6, optional=3),
    )
    rows = [
        (
            each["topic"],
            str(each["events"]),
            each["oldest"] or NOTHING,
            str(each["partitions"]),
            str(each["subscriptions"]),
            each["type"] or NOTHING,
        )
        for each in records
    ]
    return Drawn(columns, rows)


def drawn_standings(records: Sequence[dict[str, Any]]) -> Drawn:
    """Draw subscriptions."""
    columns = (
        Column(heading="SUBSCRIPTION", least=14),
        Column(heading="TOPIC", least=10),
        Column(heading="PART", right=True, optional=2),
        Column(heading="LAG", right=True),
        Column(heading="OLDEST", right=True),
        Column(heading="PARKED", right=True, optional=1),
        Column(heading="MISSED", right=True, optional=1),
        Column(heading="HOLDER", least=8, optional=3),
    )
    rows = [
        (
            each["subscription"] + (" (replay)" if each["replay"] else ""),
            each["topic"],
            str(each["partition"]),
            str(each["lag"]),
            duration(each["oldest"]),
            str(each["parked"]),
            str(each["missed"]),
            each["holder"] or NOTHING,
        )
        for each in records
    ]
    return Drawn(columns, rows)


def drawn_events(records: Sequence[dict[str, Any]]) -> Drawn:
    """Draw events."""
    columns = (
        Column(heading="OFFSET", right=True),
        Column(heading="TIME", optional=1),
        Column(heading="TOPIC", least=10, optional=2),
        Column(heading="KEY", least=6),
        Column(heading="DATA", least=20),
    )
    return Drawn(columns, [event_row(each) for each in records])


def event_row(each: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of an event."""
    return (
        str(each["offset"]),
        each["time"] or NOTHING,
        each["topic"],
        each["key"] or NOTHING,
        to_json(each["data"], pretty=False),
    )
