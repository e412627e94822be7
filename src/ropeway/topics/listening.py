"""Ephemeral subscribers: they begin where they say, keep nothing, and are gone when they end."""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, Self, TypeVar

from ropeway.errors import BadArguments, HistoryGap
from ropeway.source import Stores
from ropeway.stepping import refuse_on_loop, step
from ropeway.store import log_name
from ropeway.topics.browsing import read_event
from ropeway.topics.events import Event
from ropeway.topics.positions import resolve
from ropeway.topics.records import (
    STAMP,
    Start,
    SubscriptionRecord,
    TopicRecord,
    is_pattern,
    log_of,
    topics_of,
    wants,
)

T = TypeVar("T")

_PAGE = 200
_LONGEST_WAIT = 5.0

Place = tuple[str, int]


class Listener(Generic[T]):
    """Events as they come, for `for` and `async for`; ends after `timeout` seconds without one.

    Raises `HistoryGap` where events were removed before it came to them; it can go on behind them.
    """

    def __init__(
        self, app: Stores, wanted: SubscriptionRecord, kind: Any, timeout: float | None
    ) -> None:
        self._app, self._wanted, self._kind, self._timeout = app, wanted, kind, timeout
        self._places: dict[Place, int] | None = None
        self._stamp = -1
        self._page: deque[Event[T]] = deque()
        self._gap: HistoryGap | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event[T]:
        refuse_on_loop("next", "anext")
        event = step(self._next())
        if event is None:
            raise StopIteration
        return event

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event[T]:
        event = await self._next()
        if event is None:
            raise StopAsyncIteration
        return event

    async def _next(self) -> Event[T] | None:
        clock = self._app.clock
        since = clock.boot()
        if self._places is None:
            await self._find(fresh=True)
        while not self._page:
            await self._read()
            if self._page:
                break
            if self._gap is not None:
                gap, self._gap = self._gap, None
                raise gap
            left = _LONGEST_WAIT
            if self._timeout is not None:
                left = min(left, self._timeout - (clock.boot() - since))
            if left <= 0:
                return None
            await self._wait(left)
        return self._page.popleft()

    async def _wait(self, seconds: float) -> None:
        assert self._places is not None
        names = [log_name(log_of(*place)) for place in self._places]
        grows = is_pattern(self._wanted.pattern) or not names
        await self._app.store.wait([*names, STAMP] if grows else names, seconds)
        # The hint may be another listener's of this process: the record says whether there are more.
        if grows and await self._stamped() != self._stamp:
            await self._find(fresh=False)

    async def _stamped(self) -> int:
        (record,) = await self._app.store.get([STAMP])
        return 0 if record is None else record.version

    async def _find(self, *, fresh: bool) -> None:
        """Look which topics there are. What was made since is listened to from its beginning."""
        store, places = self._app.store, self._places or {}
        self._stamp = await self._stamped()
        for topic in await topics_of(store, self._wanted.pattern):
            await self._add(topic, places, fresh=fresh)
        self._places = places

    async def _add(self, topic: TopicRecord, places: dict[Place, int], *, fresh: bool) -> None:
        start = self._wanted.start if fresh else Start("start")
        if start.at == "offset" and topic.partitions > 1:
            raise BadArguments(
                f"topic {topic.name!r} has {topic.partitions} partitions, each with its own offsets",
                hint='begin at a date, or "24h" ago',
            )
        for number in range(topic.partitions):
            if (topic.name, number) not in places:
                log = log_of(topic.name, number)
                places[topic.name, number] = await resolve(self._app.store, log, start)

    async def _read(self) -> None:
        assert self._places is not None
        page: list[Event[T]] = []
        for place, offset in self._places.items():
            entries = await self._app.store.read(log_of(*place), offset, _PAGE)
            if not entries:
                continue
            first = entries[0].offset
            if first > offset + 1:
                self._places[place] = first - 1
                self._gap = HistoryGap.between(place[0], offset + 1, first - 1)
                continue
            self._places[place] = entries[-1].offset
            for entry in entries:
                event = read_event(*place, entry, self._kind)
                if event is not None and wants(self._wanted, event.headers):
                    page.append(event)
        page.sort(key=lambda event: event.time)
        self._page.extend(page)
