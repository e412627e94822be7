"""From a URL to a backend, wrapped by what every backend gets. The only dynamic choice there is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from ropeway.clock import Clock, SystemClock
from ropeway.config import Durability, Settings
from ropeway.errors import BackendMissing, ConfigError, Unsupported
from ropeway.events import Events
from ropeway.message import Message
from ropeway.safe import masked
from ropeway.signing import keys_of
from ropeway.store import Backend
from ropeway.transition import Answer, Append, Transition
from ropeway.wrappers.answers import Answers
from ropeway.wrappers.batched import Batched
from ropeway.wrappers.bounded import Bounded
from ropeway.wrappers.clocked import Clocked
from ropeway.wrappers.half import Half
from ropeway.wrappers.known import Known
from ropeway.wrappers.native import NativePair, RoutingHalf
from ropeway.wrappers.observed import Observed
from ropeway.wrappers.paired import Paired
from ropeway.wrappers.ported import Ported, PortedHalf
from ropeway.wrappers.routed import Routed
from ropeway.wrappers.signed import Signed
from ropeway.wrappers.solo import SOLO, Solo, Storeless

LONGEST_WAIT = 30.0

Faces = tuple[Callable[[bool], Backend], Callable[[], Backend]]
"""How to make a backend for an event loop, ropeway's own or not, and one that never suspends."""


def _sqlite(url: str, durability: Durability) -> Faces:
    from ropeway.backends.sqlite import Blocking, Database, Looped, SqliteBackend

    database = Database(sqlite_path(url), durability=durability)
    return (
        lambda own: SqliteBackend(database, Looped(database, own=own)),
        lambda: SqliteBackend(database, Blocking(database)),
    )


def _memory(url: str, durability: Durability) -> Faces:
    from ropeway.backends.memory import MemoryBackend

    del url, durability  # every memory backend is its own, and outlives nothing
    backend = MemoryBackend()
    return (lambda _: Batched(backend)), (lambda: backend)


def _redis(url: str, durability: Durability) -> Faces:
    try:
        from ropeway.backends.redis import BlockingLink, LoopedLink, RedisBackend, parse
    except ModuleNotFoundError as error:
        raise BackendMissing(
            f"{masked(url)} needs the package {error.name!r}, which is not installed",
            hint="pip install 'ropeway[redis]'",
        ) from error
    del durability  # that of the server is in its own configuration
    address = parse(url)
    blocking = RedisBackend(BlockingLink(address))
    return (
        lambda _: Clocked(Batched(RedisBackend(LoopedLink(address)))),
        lambda: blocking,
    )


def _postgres(url: str, durability: Durability) -> Faces:
    try:
        from ropeway.backends.postgres import MOST_PUBLISHED, Address, Link, PostgresBackend
    except ModuleNotFoundError as error:
        raise BackendMissing(
            f"{masked(url)} needs the package {error.name!r}, which is not installed",
            hint="pip install 'ropeway[postgres]'",
        ) from error
    address = Address.of(url, durability)

    def make() -> Backend:
        return Batched(PostgresBackend(Link(address)), MOST_PUBLISHED)

    return (lambda _: Clocked(make())), (lambda: Ported(make, PostgresBackend.capabilities))


def _rabbitmq(url: str, store: Faces) -> Faces:
    try:
        from ropeway.backends.rabbitmq import RabbitHalf, parse
    except ModuleNotFoundError as error:
        raise _without_rabbitmq(url, error) from error
    address = parse(url)

    def make() -> RoutingHalf:
        return RabbitHalf(address)

    return (
        lambda own: NativePair(make(), store[0](own), looped=True),
        lambda: NativePair(PortedHalf(make, RabbitHalf.capabilities), store[1]()),
    )


def _alone(url: str) -> Faces:
    """RabbitMQ without a store; a worker has the one face, and whoever may write in it the other."""
    from ropeway.backends.memory import MemoryBackend

    try:
        from ropeway.backends.rabbitmq import RabbitHalf, parse
    except ModuleNotFoundError as error:
        raise _without_rabbitmq(url, error) from error
    address, answers = parse(url), Answers()

    def make() -> Backend:
        return Solo(RabbitHalf(address, answers.heard), MemoryBackend(), answers)

    return (
        lambda own: make() if own else Storeless(Batched(make())),
        lambda: Storeless(Ported(make, SOLO)),
    )


def _without_rabbitmq(url: str, error: ModuleNotFoundError) -> BackendMissing:
    return BackendMissing(
        f"{masked(url)} needs the package {error.name!r}, which is not installed",
        hint="pip install 'ropeway[rabbitmq]'",
    )


def _pair(url: str, durability: Durability, store: Faces) -> Faces:
    """Join a store to what carries messages: made for that, or a whole backend."""
    if (joined := BROKERS.get(urlsplit(url).scheme)) is not None:
        return joined(url, store)
    broker = _faces(url, durability)
    return (
        lambda own: Paired(Half(broker[0](own)), store[0](own), looped=True),
        lambda: Paired(Half(broker[1]()), store[1]()),
    )


_BACKENDS: dict[str, Callable[[str, Durability], Faces]] = {
    "sqlite": _sqlite,
    "postgresql": _postgres,
    "postgres": _postgres,
    "memory": _memory,
    "redis": _redis,
    "rediss": _redis,
    "redis+unix": _redis,
    "redis+sentinel": _redis,
    "rediss+sentinel": _redis,
    "redis+cluster": _redis,
    "rediss+cluster": _redis,
}
BROKERS: dict[str, Callable[[str, Faces], Faces]] = {"amqp": _rabbitmq, "amqps": _rabbitmq}
SCHEMES_OF_POSTGRES = ("postgresql", "postgres")


def publishing(url: str, messages: Sequence[Message]) -> tuple[str, str]:
    """Return the function that publishes in somebody else's transaction, and the text it takes.

    For a backend with the capability `joint`.
    """
    from ropeway.backends.postgres.joint import publishing as postgres

    return postgres(url, messages)


def appending(url: str, appends: Sequence[Append]) -> tuple[str, str]:
    """Return the function that appends to logs in such a transaction, and the text it takes."""
    from ropeway.backends.postgres.joint import appending as postgres

    return postgres(url, appends)


class Own(Protocol):
    """A transaction of a task's own, with which its job is settled."""

    async def begin(self) -> Any:
        """Connect, begin, and return what the task works with."""
        ...

    async def commit(self, transition: Transition) -> Answer:
        """Settle, and commit if that is not refused. The connection is gone in any case."""
        ...

    async def rollback(self) -> None:
        """Undo everything. May be called again."""
        ...


def own_transaction(url: str, *, blocking: bool) -> Own:
    """Return what opens a transaction for a task; a `blocking` one never suspends.

    For a backend with the capability `joint`.
    """
    from ropeway.backends.postgres.own import InThread, OnLoop

    return InThread(url) if blocking else OnLoop(url)


class Connecting(Protocol):
    """Makes the backends that an app uses."""

    @property
    def events(self) -> Events:
        """Hears of every verb that these backends are asked for."""
        ...

    @property
    def clock(self) -> Clock:
        """What the time of those who wait for something in these backends is measured by."""
        ...

    @property
    def longest_wait(self) -> float:
        """Seconds after which those who wait look by themselves, for a hint may be lost."""
        ...

    def looped(self, *, own: bool = False) -> Backend:
        """Make a backend for the running event loop; whoever asks closes it.

        `own` says that the loop is ropeway's, with no user code on it: short work may block it.
        """
        ...

    def blocking(self) -> Backend:
        """Return the backend that works where it is asked, in the caller's own thread."""
        ...


def _faces(url: str, durability: Durability) -> Faces:
    scheme = urlsplit(url).scheme
    if scheme in BROKERS:
        return _alone(url)
    if scheme not in _BACKENDS:
        known = ", ".join(f"{name}://" for name in (*_BACKENDS, *BROKERS) if name != "postgres")
        said = scheme or masked(url)
        raise BackendMissing(f"no backend speaks {said!r}", hint=f"known: {known}")
    return _BACKENDS[scheme](url, durability)


class Connection:
    """What one process knows of one URL: a backend for each event loop, and one to be stepped.

    With the URL of a `broker` besides, the two are a pair. With `signing`, see `keys_of`, messages
    are signed.
    """

    def __init__(
        self,
        url: str,
        events: Events | None = None,
        *,
        broker: str = "",
        durability: Durability = "disk",
        signing: str = "",
    ) -> None:
        self.url = url
        self.events = events or Events()
        self.clock: Clock = SystemClock()
        self.longest_wait = LONGEST_WAIT
        if broker and urlsplit(url).scheme in BROKERS:
            raise Unsupported(
                f"{masked(url)} carries messages, and keeps no records",
                hint="give it as the broker, and name a store: store='sqlite:///jobs.db'",
            )
        faces = _faces(url, durability)
        if broker:
            faces = _pair(broker, durability, faces)
        self._make_looped, self._make_blocking = faces
        self._lock = threading.Lock()
        self._blocking: Backend | None = None
        self._known = Known()
        self._keys = keys_of(signing)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Connect as the settings say."""
        return cls(
            settings.url,
            broker=settings.broker,
            durability=settings.durability,
            signing=settings.signing,
        )

    def looped(self, *, own: bool = False) -> Backend:
        """Make a backend for the running event loop; whoever asks closes it.

        `own` says that the loop is ropeway's, with no user code on it: short work may block it.
        """
        return self._wrapped(self._make_looped(own))

    def blocking(self) -> Backend:
        """Return the backend that works where it is asked, in the caller's own thread."""
        # Looked at first without the lock: a fork meanwhile would leave that locked in the child.
        if self._blocking is None:
            with self._lock:
                if self._blocking is None:
                    self._blocking = self._wrapped(self._make_blocking())
        return self._blocking

    def _wrapped(self, backend: Backend) -> Backend:
        native = backend if isinstance(backend, NativePair) else None
        if self._keys is not None:
            backend = Signed(backend, self._keys)
        return Observed(Routed(Bounded(backend, self._known), native), self.events)


def sqlite_path(url: str) -> Path:
    """The file of a `sqlite:///relative` or `sqlite:////absolute/path` URL."""
    rest = url.removeprefix("sqlite://")
    if not rest.startswith("/") or rest == "/":
        raise ConfigError(
            f"{url!r} names no file", hint="write sqlite:///jobs.db or sqlite:////srv/jobs.db"
        )
    return Path(rest[1:]).absolute() if not rest.startswith("//") else Path(rest[1:])
