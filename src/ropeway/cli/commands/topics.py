"""`ropeway topics`: look at topics and what is in them; the commands that change them are beside."""

from __future__ import annotations

from typing import Any

import click

from ropeway.cli.commands import topic_changes as changes
from ropeway.cli.complete import topic_names
from ropeway.cli.groups import Suggesting
from ropeway.cli.listing import print_list
from ropeway.cli.look import looking
from ropeway.cli.output import to_json
from ropeway.cli.shared import LISTING, LOOKING, Shared, options
from ropeway.cli.topicview import (
    a_place,
    drawn,
    drawn_events,
    drawn_standings,
    event_row,
    found,
    ways,
)
from ropeway.config import load
from ropeway.connect import Connection
from ropeway.operate import topic as told
from ropeway.safe import one_line
from ropeway.stepping import step
from ropeway.topics.browsing import Asked, history, standings, topic_infos
from ropeway.topics.listening import Listener
from ropeway.topics.records import (
    Start,
    SubscriptionRecord,
    all_topics,
    checked_pattern,
    fits,
)


@click.group(cls=Suggesting)
@options(*LOOKING)
def topics() -> None:
    """Look at topics and change them: ls, show, tail, subscriptions, create, publish, replay ..."""


for command in (
    changes.create,
    changes.rm,
    changes.publish,
    changes.purge,
    changes.replay,
    changes.rewind,
    changes.skip,
    changes.unsubscribe,
):
    topics.add_command(command)


@topics.command()
@click.argument("pattern", default="#", shell_complete=topic_names)
@options(*LISTING)
@click.pass_obj
def ls(shared: Shared, pattern: str) -> None:
    """List the topics that fit PATTERN, or all, with how much is kept of each."""
    records: list[dict[str, Any]] = []
    with looking() as (backend, missing):
        if backend is None:
            shared.say(missing)
        else:
            chosen = [each for each in step(all_topics(backend)) if fits(pattern, each.name)]
            records = list(map(told.summary, step(topic_infos(backend, chosen))))
    if not records and not shared.json:
        shared.say("no topic is there: workers and publishers make those of their code")
    print_list(shared, told.FIELDS, records, lambda: drawn(records))


@topics.command()
@click.argument("topic", shell_complete=topic_names)
@click.option("-n", "number", type=click.IntRange(min=1), default=10, help="So many events.")
@click.option("--key", help="Of this key alone.")
@options(*LISTING)
@click.pass_obj
def show(shared: Shared, topic: str, number: int, key: str | None) -> None:
    """List the newest events of TOPIC, oldest first, and say which exchanges it is bound to."""
    with looking() as (backend, missing):
        records: list[dict[str, Any]] = []
        if backend is None:
            shared.say(missing)
        else:
            asked, record = Asked(limit=number, key=key), found(backend, topic)
            for line in step(ways(backend, record)):
                shared.say(line)
            events = step(history(backend, record, asked, Any))
            records = [told.shown(each) for each in events]
    print_list(shared, told.EVENT_FIELDS, records, lambda: drawn_events(records))


@topics.command()
@click.argument("pattern", shell_complete=topic_names)
@click.option("-n", "number", type=click.IntRange(min=0), help="At most so many events.")
@click.option("--from", "from_", type=a_place, default="now", show_default=True, help="From there.")
@click.option("-f", "--follow", is_flag=True, help="Go on until interrupted.")
@options(*LOOKING)
@click.pass_obj
def tail(shared: Shared, pattern: str, number: int | None, from_: Start, follow: bool) -> None:
    """Print events of the topics that fit PATTERN, as they come with -f, a line each."""
    wanted = SubscriptionRecord(pattern=checked_pattern(pattern), name="", start=from_)
    with looking() as (backend, missing):
        if backend is None:
            shared.say(missing)
            return
        source = _Source(backend)
        listener = Listener[Any](source, wanted, Any, None if follow else 0.0)
        for count, event in enumerate(listener, 1):
            record = told.shown(event)
            words = "\t".join(map(one_line, event_row(record)))
            print(to_json(record, pretty=False) if shared.json else words, flush=True)
            if number is not None and count >= number:
                break


class _Source:
    """What a listener asks, for a backend that is open already."""

    def __init__(self, backend: Any) -> None:
        self.settings = load({})
        connection = Connection.of(self.settings)
        self.store, self.clock = backend, connection.clock
        self.longest_wait = connection.longest_wait


@topics.command()
@click.argument("pattern", default="#", shell_complete=topic_names)
@options(*LISTING)
@click.pass_obj
def subscriptions(shared: Shared, pattern: str) -> None:
    """List the durable subscriptions to topics that fit PATTERN, with how far each is behind."""
    records: list[dict[str, Any]] = []
    with looking() as (backend, missing):
        if backend is None:
            shared.say(missing)
        else:
            for topic in step(all_topics(backend)):
                if fits(pattern, topic.name):
                    records += [told.standing(each) for each in step(standings(backend, topic))]
    print_list(shared, told.SUBSCRIPTION_FIELDS, records, lambda: drawn_standings(records))
