"""What a topic asks of `app.topics`, which knows the app and all of its subscriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Unpack

from ropeway.exchanges import ExchangeHandle
from ropeway.options import Duration, ForTask
from ropeway.store import Backend
from ropeway.topics.browsing import SubscriptionInfo, TopicInfo
from ropeway.topics.events import Stored
from ropeway.topics.listening import Listener
from ropeway.topics.moving import Moved
from ropeway.topics.positions import From
from ropeway.topics.records import TopicRecord


class Owner(Protocol):
    """Verbs for topics and subscriptions by their names."""

    @property
    def store(self) -> Backend:
        """The backend for the calling context."""
        ...

    @property
    def format(self) -> str:
        """How the data of events is written."""
        ...

    async def publish(
        self, topic: TopicRecord, events: Sequence[Stored], connection: Any = None
    ) -> list[int]:
        """Append events to a topic, over a connection of the caller's if one is given."""
        ...

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
    ) -> Any:
        """Have a function handle events."""
        ...

    def feed(
        self,
        topic: str,
        exchange: ExchangeHandle,
        key: str | None,
        *,
        from_: From = "now",
        where: Mapping[str, str] | None = None,
    ) -> None:
        """Have an exchange get events."""
        ...

    def listen(
        self,
        pattern: str,
        from_: From = "now",
        *,
        where: Mapping[str, str] | None = None,
        timeout: Duration | None = None,
    ) -> Listener[Any]:
        """Return an iterator over events."""
        ...

    async def aunsubscribe(self, task: str) -> None:
        """Remove a subscription."""
        ...

    async def ainfo(self, name: str) -> TopicInfo:
        """Say how much is kept."""
        ...

    async def asubscriptions(self, name: str) -> list[SubscriptionInfo]:
        """List the subscriptions to a topic."""
        ...

    async def areplay(self, task: str, since: From, until: From, *, dry_run: bool) -> list[Moved]:
        """Have a subscription get events again."""
        ...

    async def amove(self, task: str, to: From, *, back: bool) -> list[Moved]:
        """Set a subscription back or forth."""
        ...

    async def apurge(self, name: str, before: From, *, unread: bool) -> int:
        """Remove events."""
        ...
