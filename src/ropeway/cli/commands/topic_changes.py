"""`ropeway topics create`, `publish`, `replay` and the others that change something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from ropeway.cli import routeview
from ropeway.cli.complete import subscription_names, topic_names
from ropeway.cli.confirm import confirm
from ropeway.cli.look import by_hand, changing
from ropeway.cli.output import print_json
from ropeway.cli.shared import LOOKING, Shared, a_duration, a_size, confirmable, options
from ropeway.cli.topicview import a_place, found
from ropeway.errors import BadArguments
from ropeway.stepping import step
from ropeway.topics import moving
from ropeway.topics.browsing import topic_info
from ropeway.topics.events import written
from ropeway.topics.moving import Moved
from ropeway.topics.records import MOST_PARTITIONS, Start, TopicRecord, checked_name
from ropeway.topics.retention import Retention
from ropeway.words import several


@click.command()
@click.argument("topic", shell_complete=topic_names)
@click.option(
    "--partitions",
    type=click.IntRange(1, MOST_PARTITIONS),
    default=1,
    show_default=True,
    help="In how many parts.",
)
@click.option("--keep", type=a_duration, default="7d", show_default=True, help="For how long.")
@click.option("--count", type=click.IntRange(min=1), help="The newest so many.")
@click.option("--bytes", "most", type=a_size, help="About so much: 1GB.")
@click.option("--unread", is_flag=True, help="Also what a subscription has not read may go.")
@options(*LOOKING)
@click.pass_obj
def create(
    shared: Shared,
    topic: str,
    partitions: int,
    keep: float,
    count: int | None,
    most: int | None,
    unread: bool,
) -> None:
    """Make TOPIC, or change what is kept of it; exit code 9 if it has other partitions."""
    kept = Retention(age=keep, count=count, bytes=most, unread=unread)
    record = TopicRecord(name=checked_name(topic, "topic"), partitions=partitions, keep=kept)
    with changing() as backend:
        step(by_hand(backend).topics.create(record))
    shared.say(f"topic {topic} is there")


@click.command()
@click.argument("topic", shell_complete=topic_names)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options(*LOOKING)
@click.pass_obj
def rm(shared: Shared, topic: str, yes: bool) -> None:
    """Remove TOPIC with its events. Subscriptions stay, and go on if it is made again."""
    with changing() as backend:
        record = found(backend, topic)
        info = step(topic_info(backend, record))
        confirm(f"remove topic {topic} with {several(info.events, 'event')}", yes=yes)
        step(by_hand(backend).topics.remove(record))
    shared.say(f"topic {topic} is gone")


@click.command()
@click.argument("topic", shell_complete=topic_names)
@click.argument("data")
@click.option("--key", help="Its key.")
@click.option("-H", "headers", multiple=True, metavar="NAME=VALUE", help="A header.")
@options(*LOOKING)
@click.pass_obj
def publish(shared: Shared, topic: str, data: str, key: str | None, headers: Sequence[str]) -> None:
    """Publish DATA, a JSON text, to TOPIC. Its type is not checked: that is known to code alone."""
    try:
        value = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise BadArguments(f"the data is no JSON: {error}", hint="quote it for the shell") from None
    told = {name: str(value) for name, value in routeview.headers(headers).items()}
    with changing() as backend:
        record = found(backend, topic)
        event = written(
            value,
            Any,
            topic,
            key=key,
            headers=told,
            version=record.version,
            format="json",
            id=None,
        )
        offset = step(by_hand(backend).topics.publish(record, event))
    if shared.json:
        print_json({"topic": topic, "offset": offset, "id": event.id})
    else:
        shared.say(f"event {offset} of topic {topic}: {event.id}")


@click.command()
@click.argument("topic", shell_complete=topic_names)
@click.option("--before", type=a_place, default="now", help="Those from before that place alone.")
@click.option("--unread", is_flag=True, help="Also what a subscription has not read.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options(*LOOKING)
@click.pass_obj
def purge(shared: Shared, topic: str, before: Start, unread: bool, yes: bool) -> None:
    """Remove the events of TOPIC that all subscriptions have read."""
    with changing() as backend:
        record = found(backend, topic)
        confirm(f"remove events of topic {topic}{', unread ones too' if unread else ''}", yes=yes)
        removed = step(by_hand(backend).topics.purge(record, before, unread=unread))
    shared.say(f"{several(removed, 'event')} removed")


@click.command()
@click.argument("subscription", shell_complete=subscription_names)
@click.option("--since", type=a_place, required=True, help="From there: a date, an offset, 24h.")
@click.option("--until", type=a_place, default="now", show_default=True, help="Up to there.")
@confirmable
@options(*LOOKING)
@click.pass_obj
def replay(
    shared: Shared, subscription: str, since: Start, until: Start, dry_run: bool, yes: bool
) -> None:
    """Have SUBSCRIPTION (photo.liked/notify) get events again, beside what is new."""
    with changing() as backend:
        planned = step(moving.replay(backend, subscription, since, until, dry_run=True))
        if not dry_run:
            confirm(f"have {subscription} get {_events(planned)} again", yes=yes)
            step(by_hand(backend).topics.replay(subscription, since, until))
    _say(shared, planned, f"{subscription} gets {{}} again", dry_run=dry_run)


@click.command()
@click.argument("subscription", shell_complete=subscription_names)
@click.option("--to", type=a_place, required=True, help="To there: start, a date, an offset, 24h.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options(*LOOKING)
@click.pass_obj
def rewind(shared: Shared, subscription: str, to: Start, yes: bool) -> None:
    """Set SUBSCRIPTION back: it gets everything from there again."""
    _move(shared, subscription, to, back=True, yes=yes)


@click.command()
@click.argument("subscription", shell_complete=subscription_names)
@click.option("--to", type=a_place, default="now", show_default=True, help="To there.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options(*LOOKING)
@click.pass_obj
def skip(shared: Shared, subscription: str, to: Start, yes: bool) -> None:
    """Have SUBSCRIPTION go on from there, without what it has not read before it."""
    _move(shared, subscription, to, back=False, yes=yes)


@click.command()
@click.argument("subscription", shell_complete=subscription_names)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@options(*LOOKING)
@click.pass_obj
def unsubscribe(shared: Shared, subscription: str, yes: bool) -> None:
    """Remove SUBSCRIPTION. A worker that starts with it in its code makes it again, from now."""
    with changing() as backend:
        step(moving.found(backend, subscription))
        confirm(f"remove subscription {subscription}", yes=yes)
        step(by_hand(backend).topics.unsubscribe(subscription))
    shared.say(f"{subscription} is gone")


def _move(shared: Shared, subscription: str, to: Start, *, back: bool, yes: bool) -> None:
    with changing() as backend:
        step(moving.found(backend, subscription))
        confirm(f"set {subscription} {'back' if back else 'forth'}", yes=yes)
        moved = step(by_hand(backend).topics.move(subscription, to, back=back))
    _say(shared, moved, f"{subscription} {'gets' if back else 'leaves out'} {{}}", dry_run=False)


def _say(shared: Shared, moved: Sequence[Moved], told: str, *, dry_run: bool) -> None:
    if shared.json:
        count = sum(each.count for each in moved)
        parts = [msgspec.structs.asdict(each) for each in moved]
        print_json({"events": count, "dry_run": dry_run, "partitions": parts})
        return
    shared.say(f"{'it would be: ' if dry_run else ''}{told.format(_events(moved))}")


def _events(moved: Sequence[Moved]) -> str:
    return several(sum(each.count for each in moved), "event")
