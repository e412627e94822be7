"""The loop that forwards: what rests in the outbox is taken to the broker."""

from __future__ import annotations

import asyncio

from ropeway.broker import Broker
from ropeway.connect import Connection
from ropeway.decide import Keep
from ropeway.errors import RopewayError
from ropeway.outbox import OUTBOX_QUEUE, forward
from ropeway.worker.patience import Patience
from ropeway.wrappers.half import Half

_BATCH = 200
_POLL = 1.0
"""Seconds after which it looks by itself, for a hint may be lost."""

_LEASE = 5.0
"""Seconds after which others may take what this one got, and did not forward: it died in between."""

_PRUNE_EVERY, _PRUNED = 30.0, 1_000


class Forwarder:
    """Forwards for ever; any worker does, and several do not disturb each other."""

    def __init__(self, url: str, broker: Broker, keep: Keep) -> None:
        self._url, self._broker, self._keep = url, broker, keep
        self.patience = Patience("messages are forwarded from the outbox")

    async def run(self) -> None:
        """Forward until cancelled; an outbox that is away is waited for, as a store is."""
        outbox = Half(Connection(self._url).looped(), _LEASE)
        try:
            while True:
                try:
                    await self.patience.ask(outbox.open())
                    await self._forward(outbox)
                except RopewayError as error:
                    await self.patience.rest(error)
        finally:
            await outbox.close()

    async def _forward(self, outbox: Half) -> None:
        loop = asyncio.get_running_loop()
        pruned = loop.time()
        while True:
            if not await self.patience.ask(forward(outbox, self._broker, _BATCH)):
                await self.patience.ask(outbox.wait([OUTBOX_QUEUE], _POLL), _POLL)
            if loop.time() - pruned >= _PRUNE_EVERY:
                await self.patience.ask(outbox.prune(self._keep, _PRUNED))
                pruned = loop.time()
