"""A claim that waits goes along with the commit that may bring what it waits for.

So the worker that settles a node of a workflow has the next one with the answer: settled, readied and
claimed in one step, by the very rules of a claim that comes by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from ropeway.backends.redis.commands import Args
from ropeway.backends.redis.hearing import Seen


class Rider:
    """A claim that waits: its arguments, and the queues that it is for."""

    def __init__(self, args: Args, names: Sequence[str]) -> None:
        self.args, self.names = args, names
        self.arrived: asyncio.Future[tuple[Any, Seen]] | None = None

    def arrive(self, reply: Any, seen: Seen) -> None:
        """The commit has brought something: the reply of a claim, and what had been heard before it."""
        assert self.arrived is not None
        if not self.arrived.done():  # who waited may have been cancelled meanwhile
            self.arrived.set_result((reply, seen))

    def left_out(self) -> None:
        """It has brought nothing; whoever waits goes on as before."""
        assert self.arrived is not None
        if not self.arrived.done():
            self.arrived.set_result((None, {}))
        self.arrived = None

    async def brought(self) -> tuple[Any, Seen]:
        """Return the reply of the claim, and what had been heard before it; None for no reply."""
        if self.arrived is None:
            return None, {}
        found = await self.arrived
        # Whoever asked for the commit mostly hears its answer meanwhile, which tells of results that
        # what was claimed needs; who has not heard of them looks them up.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return found


class Stop:
    """Where claims that wait stand, until a commit takes the first one along."""

    def __init__(self) -> None:
        self._waiting: list[Rider] = []

    def enter(self, rider: Rider) -> None:
        """From now on it can be taken along."""
        self._waiting.append(rider)

    def leave(self, rider: Rider) -> None:
        """It waits no more; a commit that it goes along with already still brings what it brings."""
        self._waiting.remove(rider)

    def board(self) -> Rider | None:
        """Return who has waited longest, to be told of the end by `arrive` or `left_out`."""
        for rider in self._waiting:
            if rider.arrived is None:
                rider.arrived = asyncio.get_running_loop().create_future()
                return rider
        return None
