"""What is stored of topics beside their logs: topics, subscriptions, and how far each has come."""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from ropeway.broker_half import INLET
from ropeway.errors import BadArguments
from ropeway.message import DEFAULT_QUEUE
from ropeway.routing import Binding, Exchange, Router
from ropeway.store import Store
from ropeway.topics.retention import Retention
from ropeway.transition import Record

TOPICS, SUBSCRIPTIONS, CURSORS = "topics/topic/", "topics/subscription/", "topics/cursor/"
STAMP = "topics/stamp"
"""The key of a record that changes with every topic that is made or removed."""

DRIVER = "ropeway.subscriber"
"""What the message of a cursor asks for: that its holder hands out the events behind it."""

MOST_PARTITIONS = 256
_NAME = re.compile(r"[\w-]+(\.[\w-]+)*", re.ASCII)
_PATTERN = re.compile(r"([\w-]+|[*#])(\.([\w-]+|[*#]))*", re.ASCII)
_LONGEST = 200
_PAGE = 100


class TopicRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A topic: in how many partitions its events are, what is kept, and what they hold.

    `kind` is the name of the type of their data, for people, and `version` that of its schema.
    `key` is the field of the data that is their key, where it is one.
    """

    name: str
    partitions: int = 1
    keep: Retention = Retention()
    kind: str = ""
    version: int = 1
    key: str = ""
    created: float = 0.0


class Start(Struct, frozen=True, array_like=True):
    """Where to begin: at the "start" or the end ("now"), behind an "offset", or at a "time"."""

    at: str
    value: float = 0.0


class SubscriptionRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A durable subscription to all topics that fit `pattern`; `task` handles its events.

    With `headers` it wants events alone that have all of them, or `match="any"` of them. One that
    only publishes to an exchange names that.
    """

    pattern: str
    name: str
    queue: str = DEFAULT_QUEUE
    band: int = 5
    start: Start = Start("now")
    headers: dict[str, str] = {}
    match: str = "all"
    exchange: str = ""
    routing_key: str | None = None
    created: float = 0.0

    @property
    def task(self) -> str:
        """The name of its task, by which it is known as well."""
        return task_name(self.pattern, self.name)


class Cursor(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a subscription has come in one partition of a topic.

    Every event up to `offset` is done, and of those behind it the ones in `done`: a bit each, from
    the lowest. `job` is the message whose lease its holder has. `parked` names for each key the
    last job that one of its events has become, for later events wait behind it. Not `clean`: its
    holder has begun events of which nobody knows how they ended. A replay, with a name, goes `until`
    an offset and is over then. `generation` grows when it is set back. `missed` and `gap` tell of
    events that were removed before they were read.
    """

    topic: str
    partition: int
    subscription: str
    job: str
    replay: str = ""
    offset: int = 0
    done: bytes = b""
    parked: dict[str, str] = {}
    clean: bool = True
    generation: int = 0
    until: int | None = None
    missed: int = 0
    gap: tuple[int, int] | None = None

    @property
    def key(self) -> str:
        """The key of its record."""
        return cursor_key(self.topic, self.partition, self.subscription, self.replay)

    @property
    def log(self) -> str:
        """The log that it goes along."""
        return log_of(self.topic, self.partition)


encode = msgspec.msgpack.Encoder().encode
decode_topic = msgspec.msgpack.Decoder(TopicRecord).decode
decode_subscription = msgspec.msgpack.Decoder(SubscriptionRecord).decode
decode_cursor = msgspec.msgpack.Decoder(Cursor).decode


def task_name(pattern: str, name: str) -> str:
    """Return the name of the task that handles the events of a subscription."""
    return f"{pattern}/{name}"


def topic_key(name: str) -> str:
    """Return the key of a topic's record."""
    return TOPICS + name


def subscription_key(task: str) -> str:
    """Return the key of a subscription's record."""
    return SUBSCRIPTIONS + task


def cursor_key(topic: str, partition: int, subscription: str, replay: str = "") -> str:
    """Return the key of a cursor's record: those of a topic are beside each other."""
    return f"{CURSORS}{topic}/{partition}/{subscription}" + (f"/{replay}" if replay else "")


def log_of(topic: str, partition: int) -> str:
    """Return the log that the events of one partition are in."""
    return f"topic/{topic}/{partition}"


def inlet_of(topic: str) -> str:
    """Return the queue whose messages become events of a topic."""
    return INLET + topic


def fed_by(queue: str) -> str | None:
    """Return the topic whose events the messages of a queue become; None if they are jobs."""
    return queue.removeprefix(INLET) if queue.startswith(INLET) else None


def partition_of(key: str, partitions: int) -> int:
    """Return the partition of a key: always the same, in every process and language."""
    return zlib.crc32(key.encode("utf-8", "surrogatepass")) % partitions


def checked_name(name: str, what: str) -> str:
    """Return a usable name of a topic or subscription, or raise `BadArguments`."""
    if not isinstance(name, str) or len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise BadArguments(
            f"{what} {name!r} cannot be", hint="words of letters, digits, - and _ with dots between"
        )
    return name


def checked_pattern(pattern: str) -> str:
    """Return a usable pattern of topics, or raise `BadArguments`."""
    usable = isinstance(pattern, str) and len(pattern) <= _LONGEST and _PATTERN.fullmatch(pattern)
    if not usable:
        raise BadArguments(
            f"{pattern!r} is no pattern of topics",
            hint="write words with dots between, * for any word and # for any number of them",
        )
    return pattern


def is_pattern(pattern: str) -> bool:
    """Whether it stands for more topics than the one of that name."""
    return "*" in pattern or "#" in pattern


@functools.lru_cache(1024)
def _router(pattern: str) -> Router:
    exchange = Exchange(name="t", type="topic")
    return Router([exchange], [Binding(source="t", to="it", key=pattern)])


def fits(pattern: str, topic: str) -> bool:
    """Whether a topic's name is one of those that a pattern stands for."""
    return bool(_router(pattern).route("t", topic))


def wants(subscription: SubscriptionRecord, headers: Mapping[str, str]) -> bool:
    """Whether a subscription wants an event with these headers."""
    asked = subscription.headers
    if not asked:
        return True
    there = (headers.get(name) == value for name, value in asked.items())
    return any(there) if subscription.match == "any" else all(there)


async def scanned(store: Store, prefix: str) -> AsyncIterator[Record]:
    """Go through all records whose keys begin with a prefix."""
    after = ""
    while page := await store.scan(prefix, after, _PAGE):
        for record in page:
            yield record
        after = page[-1].key


async def all_topics(store: Store) -> list[TopicRecord]:
    """Return every topic, by name."""
    return [decode_topic(each.value) async for each in scanned(store, TOPICS)]


async def topics_of(store: Store, pattern: str) -> list[TopicRecord]:
    """Return the topics that a pattern, or a name, stands for."""
    if is_pattern(pattern):
        return [each for each in await all_topics(store) if fits(pattern, each.name)]
    (record,) = await store.get([topic_key(pattern)])
    return [] if record is None else [decode_topic(record.value)]


async def all_subscriptions(store: Store) -> list[SubscriptionRecord]:
    """Return every durable subscription, by pattern and name."""
    return [decode_subscription(each.value) async for each in scanned(store, SUBSCRIPTIONS)]


async def cursors_of(store: Store, topic: TopicRecord) -> list[Cursor]:
    """Return the cursors of all subscriptions to a topic, replays included."""
    return [decode_cursor(each.value) async for each in scanned(store, f"{CURSORS}{topic.name}/")]


async def cursor_records(
    store: Store, topics: Sequence[TopicRecord], subscription: str
) -> list[Record | None]:
    """Return the records of a subscription's cursors, in the order of topics and partitions."""
    keys = [
        cursor_key(topic.name, number, subscription)
        for topic in topics
        for number in range(topic.partitions)
    ]
    return await store.get(keys)
