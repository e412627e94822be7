"""A worker at work: its loops over one backend, run together and ended in order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from ropeway.config import Settings
from ropeway.decide import Keep, Rules
from ropeway.message import Delivery, Outcome
from ropeway.store import Backend
from ropeway.worker.drain import drain, either
from ropeway.worker.fetch import Fetcher
from ropeway.worker.forward import Forwarder
from ropeway.worker.frames import TaskInfo
from ropeway.worker.held import Held
from ropeway.worker.inlets import Inlets
from ropeway.worker.loops import Loops
from ropeway.worker.places import Places
from ropeway.worker.prune import Pruner
from ropeway.worker.settle import Settler


class Loop(Protocol):
    """Something that a worker does for ever."""

    async def run(self) -> None: ...


class Work:
    """Fetches, settles and prunes, with `renewer` and others beside it; `places` run the calls."""

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
        beside: Mapping[str, Loop] | None = None,
    ) -> None:
        keep = Keep(settings.keep, settings.keep_failed, settings.keep_count)
        rules = Rules(keep=keep, unknown_grace=settings.unknown_grace)
        self._places, self._held, self._settings = places, held, settings
        self._beside = {"the loop that renews": renewer, **(beside or {})}
        if settings.outbox:
            forwarder = Forwarder(settings.outbox, backend, keep)
            self._beside["the loop that forwards"] = forwarder
        self.settler = Settler(backend, tasks, held, rules)
        self.fetcher = Fetcher(
            backend,
            places,
            self.settler,
            held,
            tasks,
            rules,
            inlets=Inlets(backend, keep, settings.max_message),
            holder=holder,
            lease=settings.lease,
            queues=queues,
        )
        self.pruner = Pruner(backend, keep)
        self.unanswered = False

    def ended(self, ended: list[tuple[Delivery, Outcome]]) -> None:
        """Settle calls that the places have given back."""
        for delivery, outcome in ended:
            self.settler.add(delivery, outcome)

    async def run(self, stop: asyncio.Event, now: asyncio.Event) -> int:
        """Work until `stop` is set, and end in order, at once if `now` is; returns an exit code."""
        loops = Loops()
        fetching = loops.start("the loop that fetches", self.fetcher.run())
        settling = loops.start("the loop that settles", self.settler.run())
        loops.start("the loop that prunes", self.pruner.run())
        for name, loop in self._beside.items():
            loops.start(name, loop.run())
        await either(stop.wait(), loops.broken.wait())
        self.fetcher.stopping = True
        code = 1
        if settling.done():
            # What ends now could not be settled: its leases end with this worker.
            await self._places.close(kill=True)
        else:
            code = await drain(
                fetching,
                self._places,
                self.settler,
                self._held,
                now,
                grace=self._settings.grace,
                lease=self._settings.lease,
            )
        self.unanswered = self.settler.pending
        await loops.close()
        return 1 if loops.broken.is_set() else code
