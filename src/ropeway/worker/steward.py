"""The loop that keeps topics: subscriptions follow, and what need not be kept goes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ropeway.errors import RopewayError
from ropeway.store import Store
from ropeway.topics.declaring import follow
from ropeway.topics.records import (
    STAMP,
    SubscriptionRecord,
    all_topics,
    decode_subscription,
    is_pattern,
    subscription_key,
)
from ropeway.topics.trimming import retain
from ropeway.worker.patience import Patience

_LOOK = 1.0
"""Seconds after which it is seen whether there are new topics that a pattern stands for."""

_ROUND = 30.0
"""Seconds after which everything is looked at: every cursor has its message, and retention."""


class Steward:
    """Keeps the subscriptions of this worker's code going, and the history of all topics short."""

    def __init__(self, store: Store, subscriptions: Sequence[SubscriptionRecord]) -> None:
        self._store, self._subscriptions = store, subscriptions
        self._patterns = any(is_pattern(each.pattern) for each in subscriptions)
        self._stamp = -1
        self._rounded = float("-inf")
        self._patience = Patience("topics are kept")

    async def run(self) -> None:
        """Keep them for ever; any worker does, and several do not disturb each other."""
        while True:
            try:
                await self._patience.ask(self.run_once(), _ROUND)
            except RopewayError as error:
                await self._patience.rest(error)
            await asyncio.sleep(_LOOK if self._patterns else _ROUND)

    async def run_once(self) -> None:
        """Look what there is to do, and do it."""
        now = asyncio.get_running_loop().time()
        whole = now - self._rounded >= _ROUND
        (record,) = await self._store.get([STAMP])
        stamp = record.version if record is not None else 0
        if whole or stamp != self._stamp:
            await self._follow()
        if whole:
            for topic in await all_topics(self._store):
                await retain(self._store, topic)
            self._rounded = now
        self._stamp = stamp

    async def _follow(self) -> None:
        keys = [subscription_key(each.task) for each in self._subscriptions]
        for record in await self._store.get(keys):
            # One that somebody has removed stays away until a worker is started.
            if record is not None:
                await follow(self._store, decode_subscription(record.value))
