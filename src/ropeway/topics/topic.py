"""What a user holds of a topic: publish, subscribe, listen, and look back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, Unpack, overload

from msgspec.structs import replace

from ropeway.errors import BadArguments
from ropeway.exchanges import ExchangeHandle
from ropeway.foreign import checked
from ropeway.options import Duration, ForTask
from ropeway.stepping import step
from ropeway.topics.browsing import Asked, SubscriptionInfo, TopicInfo, history
from ropeway.topics.events import Event, Stored, written
from ropeway.topics.listening import Listener
from ropeway.topics.moving import Moved
from ropeway.topics.owner import Owner
from ropeway.topics.positions import From
from ropeway.topics.publishing import chunks
from ropeway.topics.records import TopicRecord, inlet_of, partition_of, task_name

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")

Upgrade = Callable[[Any, int], Any]
"""From the data of an event, as it was published, and its version, to data of now."""


class Subscriber(Generic[T]):
    """The decorator that `subscribe` returns: the function stays what it is."""

    def __init__(self, add: Callable[[Callable[..., Any]], None]) -> None:
        self._add = add

    @overload
    def __call__(
        self, function: Callable[Concatenate[Event[T], P], R]
    ) -> Callable[Concatenate[Event[T], P], R]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[T, P], R]
    ) -> Callable[Concatenate[T, P], R]: ...
    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        self._add(function)
        return function


class Topic(Generic[T]):
    """A topic that the code declares; made by `app.topic`.

    Nothing is stored when it is made. A worker brings it and its subscriptions into force when it
    starts, and so does whoever publishes, before the first time; or `app.topics.declare`.
    """

    def __init__(
        self,
        owner: Owner,
        record: TopicRecord,
        type: Any,
        key: str | Callable[[T], str | None] | None,
        connection: Any = None,
    ) -> None:
        self._owner, self.type, self._connection = owner, type, connection
        self.record = replace(record, key=key) if isinstance(key, str) else record
        self._key, self._keyed_by_code = _key_of(key), callable(key)
        self.upgrader: Upgrade | None = None

    def __repr__(self) -> str:
        return f"<topic {self.name} of {self.record.kind or 'anything'}>"

    @property
    def name(self) -> str:
        """The name that subscribers use."""
        return self.record.name

    # -- publishing -----------------------------------------------------------------------

    def using(self, *, connection: Any) -> Topic[T]:
        """Return this topic for publishing in a transaction of yours: with it, or not at all.

        `connection` is one to the PostgreSQL database that topics are in, of asyncpg, psycopg,
        SQLAlchemy or Django. An event gets its place when the transaction has committed, so nobody
        waits for that, and until then its `offset` is 0. Raises `BadArguments`.
        """
        return Topic(self._owner, self.record, self.type, self._key, checked(connection))

    def publish(
        self,
        data: T,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        id: str | None = None,
    ) -> Event[T]:
        """Publish an event. When it returns, it is on the disk of the backend.

        Events of one `key` are handled in order; without it the topic's own `key` says it. `id` is
        for those who publish again what they cannot know was published: subscribers see it. Raises
        `BadArguments`, `NotEncodable`, `MessageTooLarge`, and what a send raises.
        """
        return step(self.apublish(data, key=key, headers=headers, id=id))

    async def apublish(
        self,
        data: T,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        id: str | None = None,
    ) -> Event[T]:
        """The same as `publish`, for async code."""
        event = self._written(data, key, headers, id)
        (offset,) = await self._owner.publish(self.record, [event], self._connection)
        return self._told(event, data, offset)

    def publish_many(self, items: Iterable[T], *, headers: Mapping[str, str] | None = None) -> int:
        """Publish many events, some hundreds in each commit; returns how many.

        If it raises, those before may have been published.
        """
        return step(self.apublish_many(items, headers=headers))

    async def apublish_many(
        self, items: Iterable[T], *, headers: Mapping[str, str] | None = None
    ) -> int:
        """The same as `publish_many`, for async code."""
        count = 0
        for chunk in chunks(self._written(each, None, headers, None) for each in items):
            await self._owner.publish(self.record, chunk, self._connection)
            count += len(chunk)
        return count

    def _written(
        self, data: T, key: str | None, headers: Mapping[str, str] | None, id: str | None
    ) -> Stored:
        return written(
            data,
            self.type,
            self.name,
            key=self._key(data) if key is None else key,
            headers=headers,
            version=self.record.version,
            format=self._owner.format,
            id=id,
        )

    def _told(self, event: Stored, data: T, offset: int) -> Event[T]:
        return Event(
            data=data,
            id=event.id,
            topic=self.name,
            partition=0 if event.key is None else partition_of(event.key, self.record.partitions),
            offset=offset,
            time=0.0,
            key=event.key,
            headers=event.headers,
            version=event.version,
        )

    # -- subscribing ----------------------------------------------------------------------

    def subscribe(
        self,
        name: str,
        *,
        from_: From = "now",
        where: Mapping[str, str] | None = None,
        match: str = "all",
        cpu: bool = False,
        **options: Unpack[ForTask],
    ) -> Subscriber[T]:
        """Have a function handle every event: a durable subscription, shared by all workers.

        It gets the event's data, or with `Event[...]` as the annotation all about it. `from_` says
        where a new subscription begins: "now", "start", an offset, a date, or "24h" ago. `where`
        are headers that an event must have, all of them or `match="any"`. The other options are
        those of a task: an event whose handler fails becomes a job of its own, with `retries`.
        """
        subscriber: Subscriber[T] = self._owner.subscribe(
            self.name, name, from_=from_, where=where, match=match, cpu=cpu, **options
        )
        return subscriber

    def unsubscribe(self, name: str) -> None:
        """Remove a durable subscription; raises `SubscriptionNotFound`."""
        step(self.aunsubscribe(name))

    async def aunsubscribe(self, name: str) -> None:
        """The same as `unsubscribe`, for async code."""
        await self._owner.aunsubscribe(self._task(name))

    def listen(
        self,
        from_: From = "now",
        *,
        where: Mapping[str, str] | None = None,
        timeout: Duration | None = None,
    ) -> Listener[T]:
        """Return an iterator over events, for `for` or `async for`; nothing of it is stored.

        It ends after `timeout` without an event, and without that never. Raises `HistoryGap`
        where events were removed that it was to see.
        """
        return self._owner.listen(self.name, from_, where=where, timeout=timeout)

    # -- exchanges ------------------------------------------------------------------------

    def bind(
        self,
        exchange: ExchangeHandle,
        key: str | None = None,
        *,
        from_: From = "now",
        where: Mapping[str, str] | None = None,
    ) -> None:
        """Have an exchange get every event, by a durable subscription that is named after it.

        `key` is the routing key; without it the name of the topic. The message holds the event's
        data, and the rest as CloudEvents have it in binary mode: `cloudEvents_id` is that of the
        event, for it may come twice. For the other way, see `bind` of the exchange.
        """
        self._owner.feed(self.name, exchange, key, from_=from_, where=where)

    def unbind(self, exchange: ExchangeHandle) -> None:
        """Have an exchange get no more events; raises `SubscriptionNotFound`."""
        self.unsubscribe(exchange.name)

    async def aunbind(self, exchange: ExchangeHandle) -> None:
        """The same as `unbind`, for async code."""
        await self.aunsubscribe(exchange.name)

    @property
    def inlet(self) -> str:
        """The queue whose messages become events: an exchange that is bound to the topic fills it.

        Raises `BadArguments` for a topic whose key only the code knows.
        """
        if self._keyed_by_code:
            raise BadArguments(
                f"topic {self.name} cannot be bound to an exchange: its key is a function, which is "
                "not run for what comes from there",
                hint='name the field of the data that is the key: key="user"',
            )
        return inlet_of(self.name)

    # -- looking back ---------------------------------------------------------------------

    def history(
        self,
        *,
        last: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: int | None = None,
        key: str | None = None,
        limit: int = 100,
    ) -> list[Event[T]]:
        """Return events that are kept, oldest first: the `last` ones, or the first `limit`.

        `since` and `until` are dates, `after` is an offset, and `key` finds those of one key, by
        looking through its partition.
        """
        return step(
            self.ahistory(last=last, since=since, until=until, after=after, key=key, limit=limit)
        )

    async def ahistory(
        self,
        *,
        last: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: int | None = None,
        key: str | None = None,
        limit: int = 100,
    ) -> list[Event[T]]:
        """The same as `history`, for async code."""
        many = limit if last is None else last
        if isinstance(many, bool) or not isinstance(many, int) or many < 1:
            raise BadArguments(f"{many!r} events cannot be asked for", hint="ask for 1 or more")
        for name, date in (("since", since), ("until", until)):
            if date is not None and date.tzinfo is None:
                raise BadArguments(f"{name}={date} has no time zone", hint="datetime.now(UTC), say")
        asked = Asked(
            since=since, until=until, after=after, key=key, limit=many, newest=last is not None
        )
        return await history(self._owner.store, self.record, asked, self.type)

    def info(self) -> TopicInfo:
        """Say how many events are kept, and since when."""
        return step(self.ainfo())

    async def ainfo(self) -> TopicInfo:
        """The same as `info`, for async code."""
        return await self._owner.ainfo(self.name)

    def subscriptions(self) -> list[SubscriptionInfo]:
        """List the durable subscriptions, with how far each is behind."""
        return step(self.asubscriptions())

    async def asubscriptions(self) -> list[SubscriptionInfo]:
        """The same as `subscriptions`, for async code."""
        return await self._owner.asubscriptions(self.name)

    # -- moving ---------------------------------------------------------------------------

    def replay(self, name: str, since: From, until: From = "now", *, dry_run: bool = False) -> int:
        """Have one subscription get events again, beside what is new; returns about how many.

        With `dry_run` nothing is done but counting.
        """
        return step(self.areplay(name, since, until, dry_run=dry_run))

    async def areplay(
        self, name: str, since: From, until: From = "now", *, dry_run: bool = False
    ) -> int:
        """The same as `replay`, for async code."""
        return _total(await self._owner.areplay(self._task(name), since, until, dry_run=dry_run))

    def rewind(self, name: str, to: From) -> int:
        """Set one subscription back: it gets all events from there again; returns how many."""
        return step(self.arewind(name, to))

    async def arewind(self, name: str, to: From) -> int:
        """The same as `rewind`, for async code."""
        return _total(await self._owner.amove(self._task(name), to, back=True))

    def skip(self, name: str, to: From = "now") -> int:
        """Have one subscription go on from there, without what lies before; returns how many."""
        return step(self.askip(name, to))

    async def askip(self, name: str, to: From = "now") -> int:
        """The same as `skip`, for async code."""
        return _total(await self._owner.amove(self._task(name), to, back=False))

    def purge(self, before: From = "now", *, unread: bool = False) -> int:
        """Remove events from before a date or an offset now; returns how many.

        What a subscription has not read stays, unless `unread` says that it goes too.
        """
        return step(self.apurge(before, unread=unread))

    async def apurge(self, before: From = "now", *, unread: bool = False) -> int:
        """The same as `purge`, for async code."""
        return await self._owner.apurge(self.name, before, unread=unread)

    def upgrade(self, function: Upgrade) -> Upgrade:
        """Have events of an earlier `version` made those of now, for the handlers of this code.

        A decorator of a function that takes the data, as it was published, and its version.
        """
        self.upgrader = function
        return function

    def _task(self, name: str) -> str:
        return task_name(self.name, name)


def _total(moved: Sequence[Moved]) -> int:
    return sum(each.count for each in moved)


def _key_of(key: str | Callable[[Any], str | None] | None) -> Callable[[Any], str | None]:
    if key is None:
        return lambda _: None
    if not isinstance(key, str):
        return key

    def read(data: Any) -> str:
        try:
            value = data[key] if isinstance(data, Mapping) else getattr(data, key)
        except (LookupError, AttributeError):
            raise BadArguments(
                f"an event has no {key!r}, which is to be its key", hint="nothing was sent"
            ) from None
        return value if isinstance(value, str) else str(value)

    return read
