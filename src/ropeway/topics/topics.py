"""The topics of an app: what its code declares, and what is in force, by whomever."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, Unpack

from msgspec.structs import replace

from ropeway.connect import Connecting
from ropeway.context import current
from ropeway.errors import BadArguments, TopicNotFound
from ropeway.exchanges import ExchangeHandle, Exchanges
from ropeway.ids import derived_id
from ropeway.options import Duration, ForTask, duration
from ropeway.retry import RetryPolicy
from ropeway.sending import refusal
from ropeway.source import Stores
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.task import Task
from ropeway.topics import cloudevents, moving
from ropeway.topics.bridging import message_of
from ropeway.topics.browsing import SubscriptionInfo, TopicInfo, standings, topic_info, topic_infos
from ropeway.topics.declaring import declare_subscriptions, declare_topics
from ropeway.topics.delivery import event_parameter
from ropeway.topics.events import Event, Stored, check_data, checked_headers
from ropeway.topics.listening import Listener
from ropeway.topics.moving import Moved
from ropeway.topics.positions import From, start_of
from ropeway.topics.publishing import publish
from ropeway.topics.records import (
    SubscriptionRecord,
    TopicRecord,
    all_topics,
    checked_name,
    checked_pattern,
    fits,
    task_name,
    topics_of,
)
from ropeway.topics.topic import Subscriber, Topic
from ropeway.topics.trimming import purge, remove_topic
from ropeway.transition import Transition


class App(Stores, Protocol):
    """What topics need of their app."""

    connection: Connecting

    @property
    def exchanges(self) -> Exchanges:
        """What it declares of exchanges."""
        ...

    def task(
        self,
        function: None = None,
        /,
        *,
        name: str | None = None,
        cpu: bool = False,
        **options: Unpack[ForTask],
    ) -> Callable[[Callable[..., Any]], Any]:
        """Register a function as a task."""
        ...


_UNTIL_IT_IS_THERE = RetryPolicy(retries=1_000, base=1.0, cap=60.0)
"""For events on their way to an exchange: it may be away, or have no room, and come back."""


class Topics:
    """`app.topics`: subscriptions to patterns of topics, and verbs for topics by their names."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.declared: dict[str, Topic[Any]] = {}
        self._subscriptions: dict[str, SubscriptionRecord] = {}
        self._tasks: dict[str, Task[..., Any]] = {}
        self._in_force: object = None

    @property
    def store(self) -> Backend:
        """The backend for the calling context."""
        return self._app.store

    @property
    def format(self) -> str:
        """How the data of events is written."""
        return self._app.settings.codec

    @property
    def records(self) -> list[TopicRecord]:
        """The topics of the code."""
        return [each.record for each in self.declared.values()]

    @property
    def subscribed(self) -> list[SubscriptionRecord]:
        """The durable subscriptions of the code."""
        return list(self._subscriptions.values())

    def task_of(self, subscription: str) -> Task[..., Any] | None:
        """Return the task that handles the events of a subscription of the code."""
        return self._tasks.get(subscription)

    def add(self, topic: Topic[Any]) -> None:
        """Note a topic of the code; raises `BadArguments` if it has two ways to be."""
        other = self.declared.setdefault(topic.name, topic)
        if (other.record, other.type) != (topic.record, topic.type):
            raise BadArguments(f"topic {topic.name!r} is declared twice, and differently")
        self._in_force = None

    # -- subscribing ----------------------------------------------------------------------

    def subscribe(
        self,
        pattern: str,
        name: str,
        *,
        from_: From = "now",
        where: Mapping[str, str] | None = None,
        match: str = "all",
        cpu: bool = False,
        **options: Unpack[ForTask],
    ) -> Subscriber[Any]:
        """Have a function handle the events of all topics that fit a pattern: see `Topic.subscribe`.

        In a pattern `*` stands for one word and `#` for any number of them: `photo.*`. Topics that
        are made later belong to it from their first event on.
        """
        if match not in {"all", "any"}:
            raise BadArguments(f"match={match!r} cannot be", hint='write "all" or "any"')
        headers = {} if where is None else checked_headers(where)
        start = start_of(from_)
        task = task_name(checked_pattern(pattern), checked_name(name, "subscription"))
        unfit = {"key", "unique", "ack", "store", "expires"} & options.keys()
        if unfit:
            raise BadArguments(f"{task}: {', '.join(sorted(unfit))} means nothing for events")

        def add(function: Callable[..., Any]) -> None:
            options.setdefault("version", self._version(pattern))
            handler: Task[..., Any] = self._app.task(name=task, cpu=cpu, **options)(function)
            parameter = event_parameter(handler)
            handler.definition.upgrade = self._upgrade(pattern, parameter)
            self._tasks[task] = handler
            self._subscriptions[task] = SubscriptionRecord(
                pattern=pattern,
                name=name,
                queue=handler.options.queue,
                band=handler.options.band,
                start=start,
                headers=headers,
                match=match,
            )
            self._in_force = None

        return Subscriber(add)

    def feed(
        self,
        topic: str,
        exchange: ExchangeHandle,
        key: str | None,
        *,
        from_: From = "now",
        where: Mapping[str, str] | None = None,
    ) -> None:
        """Have an exchange get the events of a topic: see `Topic.bind`."""
        name = exchange.name

        async def publish(event: Event[Any]) -> None:
            await self._app.exchanges.adeclare()
            routing_key = event.topic if key is None else key
            # The id of its run may be that of a job: see `Handler.parked`.
            id = derived_id(current.job_id, name)
            message = message_of(event, id, name, routing_key)
            (answer,) = await self.store.commit([Transition(publish=(message,))])
            if not answer.ok and answer.reason != "duplicate":  # that one was published before
                raise refusal(message, answer)

        self.subscribe(topic, name, from_=from_, where=where, retries=_UNTIL_IT_IS_THERE)(publish)
        task = task_name(topic, name)
        self._subscriptions[task] = replace(
            self._subscriptions[task], exchange=name, routing_key=key
        )

    def _version(self, pattern: str) -> int:
        topic = self.declared.get(pattern)
        return 1 if topic is None else topic.record.version

    def _upgrade(self, pattern: str, parameter: str) -> Any:
        topic = self.declared.get(pattern)

        def upgrade(arguments: dict[str, Any], version: int) -> dict[str, Any]:
            if topic is None or topic.upgrader is None:
                raise BadArguments(
                    f"an event of version {version} cannot be read by this code",
                    hint="say how it becomes one of now: @topic.upgrade",
                )
            given = arguments[parameter]
            whole = isinstance(given, dict) and {"data", "offset", "topic"} <= given.keys()
            if whole:
                return {parameter: given | {"data": topic.upgrader(given["data"], version)}}
            return {parameter: topic.upgrader(given, version)}

        return upgrade

    def unsubscribe(self, pattern: str, name: str) -> None:
        """Remove a durable subscription; raises `SubscriptionNotFound`."""
        step(self.aunsubscribe(task_name(pattern, name)))

    async def aunsubscribe(self, task: str) -> None:
        """Remove a durable subscription by the name of its task, `pattern/name`."""
        await moving.remove(self.store, task)

    def listen(
        self,
        pattern: str,
        from_: From = "now",
        *,
        where: Mapping[str, str] | None = None,
        timeout: Duration | None = None,
    ) -> Listener[Any]:
        """Return an iterator over the events of all topics that fit a pattern: see `Topic.listen`."""
        wanted = SubscriptionRecord(
            pattern=checked_pattern(pattern),
            name="",
            start=start_of(from_),
            headers={} if where is None else checked_headers(where),
        )
        topic = self.declared.get(pattern)
        seconds = None if timeout is None else duration(timeout, "timeout")
        return Listener(self._app, wanted, Any if topic is None else topic.type, seconds)

    # -- in force -------------------------------------------------------------------------

    def declare(self) -> None:
        """Bring into force what the code declares; `TopologyConflict` if it is there otherwise."""
        step(self.adeclare())

    async def adeclare(self) -> None:
        """The same as `declare`, for async code."""
        if self._in_force is self._app.connection or not (self.declared or self._subscriptions):
            return
        there = self._app.connection
        wanted = self.records, self.subscribed
        await declare_topics(self.store, wanted[0])
        await declare_subscriptions(self.store, wanted[1])
        if wanted == (self.records, self.subscribed):  # others may have added to it
            self._in_force = there

    async def publish(
        self, topic: TopicRecord, events: Sequence[Stored], connection: Any = None
    ) -> list[int]:
        """Append events to a topic, after what the code declares is in force."""
        await self.adeclare()
        return await publish(self._app, topic, events, connection)

    def accept(self, headers: Mapping[str, str], body: bytes) -> str:
        """Publish a CloudEvent, as a request has it, to the topic that its `type` names.

        It may be in binary or structured mode. Returns its id. Raises `BadArguments` for what is no
        CloudEvent, or does not fit the topic's type, and `TopicNotFound`.
        """
        return step(self.aaccept(headers, body))

    async def aaccept(self, headers: Mapping[str, str], body: bytes) -> str:
        """The same as `accept`, for async code."""
        type, event = cloudevents.stored(cloudevents.read(headers, body))
        topic, declared = await self._found(type), self.declared.get(type)
        if declared is not None:
            check_data(event, declared.type, type)
        await self.publish(topic, [event])
        return event.id

    def create(self, topic: TopicRecord) -> None:
        """Make a topic that no code declares, or change what is kept of it."""
        step(self.acreate(topic))

    async def acreate(self, topic: TopicRecord) -> None:
        """The same as `create`, for async code."""
        await declare_topics(self.store, [topic])

    def ls(self, pattern: str = "#") -> list[TopicInfo]:
        """List the topics, all or those that fit a pattern, with how much is kept of them."""
        return step(self.als(pattern))

    async def als(self, pattern: str = "#") -> list[TopicInfo]:
        """The same as `ls`, for async code."""
        found = [each for each in await all_topics(self.store) if fits(pattern, each.name)]
        return await topic_infos(self.store, found)

    def topic(self, name: str) -> Topic[Any]:
        """Return a topic by its name, whether this code declares it or not; `TopicNotFound`."""
        return step(self.atopic(name))

    async def atopic(self, name: str) -> Topic[Any]:
        """The same as `topic`, for async code."""
        record = await self._found(name)
        declared = self.declared.get(name)
        return Topic(self, record, Any, record.key or None) if declared is None else declared

    async def ainfo(self, name: str) -> TopicInfo:
        """Say how much is kept of a topic."""
        return await topic_info(self.store, await self._found(name))

    async def asubscriptions(self, name: str) -> list[SubscriptionInfo]:
        """List the subscriptions to a topic, with how far each is behind."""
        return await standings(self.store, await self._found(name))

    async def areplay(self, task: str, since: From, until: From, *, dry_run: bool) -> list[Moved]:
        """Have a subscription get events again; returns which."""
        ends = start_of(since, "since"), start_of(until, "until")
        return await moving.replay(self.store, task, *ends, dry_run=dry_run)

    async def amove(self, task: str, to: From, *, back: bool) -> list[Moved]:
        """Set a subscription back or forth; returns how far."""
        return await moving.move(self.store, task, start_of(to, "to"), back=back)

    async def apurge(self, name: str, before: From, *, unread: bool) -> int:
        """Remove events from before a place; returns how many."""
        topic = await self._found(name)
        return await purge(self.store, topic, start_of(before, "before"), unread=unread)

    def remove(self, *names: str) -> None:
        """Remove topics with their events, and the places of subscriptions in them."""
        step(self.aremove(*names))

    async def aremove(self, *names: str) -> None:
        """The same as `remove`, for async code."""
        for name in names:
            await remove_topic(self.store, await self._found(name))
            self._in_force = None

    async def _found(self, name: str) -> TopicRecord:
        await self.adeclare()
        found = await topics_of(self.store, checked_name(name, "topic"))
        if not found:
            raise TopicNotFound(f"there is no topic {name!r}", hint="see: ropeway topics ls")
        return found[0]


def type_name(kind: Any) -> str:
    """Return what people are shown of the type of a topic's data."""
    return "" if kind is Any else str(getattr(kind, "__name__", kind))
