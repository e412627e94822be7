"""A worker at work: its loops over one backend, run together and ended in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol

from ropeway.config import Settings
from ropeway.decide import Keep, Rules
from ropeway.message import Delivery, Outcome
from ropeway.store import Backend
from ropeway.worker.fetch import Fetcher
from ropeway.worker.frames import TaskInfo
from ropeway.worker.held import Held
from ropeway.worker.places import Places
from ropeway.worker.prune import Pruner
from ropeway.worker.settle import Settler

log = logging.getLogger("ropeway.worker")

HANDED_BACK = 11
"""Exit code of a worker that gave running jobs back because they did not end within `grace`."""


class Loop(Protocol):
    """Something that a worker does for ever."""

    async def run(self) -> None: ...


class Work:
    """Fetches, settles and prunes, with `renewer` beside it, and whatever `places` run the calls."""

    def __init__(
        self,
        backend: Backend,
        places: Places,
        renewer: Loop,
        held: Held,
        tasks: Mapping[str, TaskInfo],
        settings: Settings,
        *,
        holder: str,
        queues: Sequence[str] | None,
    ) -> None:
        keep = Keep(settings.keep, settings.keep_failed, settings.keep_count)
        rules = Rules(keep=keep, unknown_grace=settings.unknown_grace)
        self._places, self._renewer, self._held, self._settings = places, renewer, held, settings
        self.settler = Settler(backend, tasks, held, rules)
        self.fetcher = Fetcher(
            backend,
            places,
            self.settler,
            held,
            tasks,
            rules,
            holder=holder,
            lease=settings.lease,
            queues=queues,
        )
        self.pruner = Pruner(backend, keep)

    def ended(self, ended: list[tuple[Delivery, Outcome]]) -> None:
        """Settle calls that the places have given back."""
        for delivery, outcome in ended:
            self.settler.add(delivery, outcome)

    async def run(self, stop: asyncio.Event, now: asyncio.Event) -> int:
        """Work until `stop` is set, and end in order, at once if `now` is; returns an exit code."""
        fetching = asyncio.create_task(self.fetcher.run())
        others = (self.settler.run(), self._renewer.run(), self.pruner.run())
        loops = [fetching, *map(asyncio.create_task, others)]
        stopped = asyncio.create_task(stop.wait())
        # A loop that ends by itself has a bug in it: the worker ends too, and says so.
        await asyncio.wait([stopped, *loops], return_when=asyncio.FIRST_COMPLETED)
        self.fetcher.stopping = True
        code = await self._drain(fetching, now)
        for task in (stopped, *loops):
            task.cancel()
        for result in await asyncio.gather(stopped, *loops, return_exceptions=True):
            if isinstance(result, Exception):
                log.error("a loop of the worker failed", exc_info=result)
                code = 1
        return code

    async def _drain(self, fetching: asyncio.Task[None], now: asyncio.Event) -> int:
        """Give back what has not started, let the rest finish, and give back what does not."""
        log.info("stopping: %d jobs in hand", len(self._held))
        await asyncio.wait([fetching])  # a claim on its way is awaited, never dropped
        places = self._places
        try:
            async with asyncio.timeout(self._settings.grace):
                await _either(places.recall(), now.wait())
                while places.busy and not now.is_set():
                    places.freed.clear()
                    await _either(places.freed.wait(), now.wait())
        except TimeoutError:
            pass
        handed_back = places.busy
        await places.close(kill=handed_back > 0)
        settler = self.settler
        try:
            # Later than that the leases are over, and others run what could not be settled.
            await asyncio.wait_for(settler.drained(), self._settings.lease)
        except TimeoutError:
            log.warning(
                "%d jobs could not be settled: the backend does not answer", len(self._held)
            )
            return 1
        log.info(
            "stopped: %d settled, %d lost to others, %d handed back",
            settler.settled,
            settler.lost,
            handed_back,
        )
        return HANDED_BACK if handed_back else 0


async def _either(*waits: Coroutine[Any, Any, Any]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
