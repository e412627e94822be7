"""What comes to the inlets of topics: it becomes events, and no code of the app is run for it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import msgspec

from ropeway.decide import Keep
from ropeway.message import Delivery
from ropeway.store import Store
from ropeway.topics.bridging import taken_in
from ropeway.topics.records import TopicRecord, decode_topic, fed_by, topic_key
from ropeway.transition import Release, Transition

_LATER = Release("releases", delay=1.0)
"""What becomes of a message while nobody can say what its topic is."""


class Inlets:
    """Knows the topics of what was claimed last, and makes of each such message what settles it."""

    def __init__(self, store: Store, keep: Keep, most: int) -> None:
        self._store, self._keep, self._most = store, keep, most
        self._topics: dict[str, TopicRecord | None] = {}

    async def learn(self, names: Iterable[str]) -> None:
        """Look what these topics are now."""
        self._topics.clear()
        wanted = sorted(set(names))
        records = await self._store.get([topic_key(name) for name in wanted])
        for name, record in zip(wanted, records, strict=True):
            with suppress(msgspec.MsgspecError):  # of one that cannot be read nothing is known
                self._topics[name] = None if record is None else decode_topic(record.value)

    def taken_in(self, delivery: Delivery) -> Transition | None:
        """Return what settles a message that came to an inlet; None for any other."""
        name = fed_by(delivery.message.queue)
        if name is None:
            return None
        if name not in self._topics:
            return Transition(fence=delivery.fence, settle=_LATER)
        return taken_in(delivery, self._topics[name], self._keep, self._most)
