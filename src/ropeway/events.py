"""Things that happened, as values; whoever subscribes may log or count them, never stop them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec import Struct

_log = logging.getLogger("ropeway")


class VerbDone(Struct, frozen=True, kw_only=True):
    """One call of a backend's verb: how many items, how many seconds, and the error if any."""

    verb: str
    items: int
    seconds: float
    refused: int = 0
    error: str | None = None


Event = VerbDone
Subscriber = Callable[[Event], None]


class Events:
    """A list of subscribers; one that raises is logged and the others still hear."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with every event from now on."""
        self._subscribers.append(subscriber)

    @property
    def silent(self) -> bool:
        """Whether nobody listens, so that no event need be made."""
        return not self._subscribers

    def emit(self, event: Event) -> None:
        """Hand `event` to every subscriber."""
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:  # noqa: BLE001  it may not raise into what it watches
                _log.exception("a subscriber failed on %s", type(event).__name__)
