"""What a person does to topics and subscriptions: each deed is on record."""

from __future__ import annotations

from collections.abc import Sequence

from ropeway.config import Settings
from ropeway.operate.schedules import Noted
from ropeway.store import Backend
from ropeway.topics import moving
from ropeway.topics.declaring import declare_topics
from ropeway.topics.events import Stored
from ropeway.topics.moving import Moved
from ropeway.topics.publishing import append
from ropeway.topics.records import Start, TopicRecord
from ropeway.topics.trimming import purge, remove_topic
from ropeway.words import several


class OnTopics:
    """The verbs on topics of an operator."""

    def __init__(self, store: Backend, settings: Settings, noted: Noted) -> None:
        self._store, self._settings, self._noted = store, settings, noted

    async def create(self, topic: TopicRecord) -> None:
        """Make a topic, or change what is kept of it; raises `TopologyConflict`."""
        async with self._noted("topics.create", topic.name, ""):
            await declare_topics(self._store, [topic])

    async def publish(self, topic: TopicRecord, event: Stored) -> int:
        """Publish one event; returns its offset."""
        async with self._noted("topics.publish", topic.name, "") as deed:
            (offset,) = await append(self._store, topic, [event], self._settings.max_message)
            deed.told = f"event {offset}"
        return offset

    async def remove(self, topic: TopicRecord) -> None:
        """Remove a topic with its events, and the places of subscriptions in it."""
        async with self._noted("topics.remove", topic.name, ""):
            await remove_topic(self._store, topic)

    async def purge(self, topic: TopicRecord, before: Start, *, unread: bool) -> int:
        """Remove events from before a place; returns how many."""
        async with self._noted("topics.purge", topic.name, "") as deed:
            removed = await purge(self._store, topic, before, unread=unread)
            deed.told = f"{several(removed, 'event')} removed"
        return removed

    async def move(self, subscription: str, to: Start, *, back: bool) -> Sequence[Moved]:
        """Set a subscription back or forth; returns how far."""
        async with self._noted("topics.move", subscription, "") as deed:
            moved = await moving.move(self._store, subscription, to, back=back)
            count = sum(each.count for each in moved)
            deed.told = f"{'back' if back else 'forth'} by {several(count, 'event')}"
        return moved

    async def replay(self, subscription: str, since: Start, until: Start) -> Sequence[Moved]:
        """Have a subscription get events again; returns which."""
        async with self._noted("topics.replay", subscription, "") as deed:
            moved = await moving.replay(self._store, subscription, since, until, dry_run=False)
            deed.told = several(sum(each.count for each in moved), "event")
        return moved

    async def unsubscribe(self, subscription: str) -> None:
        """Remove a subscription."""
        async with self._noted("topics.unsubscribe", subscription, ""):
            await moving.remove(self._store, subscription)
