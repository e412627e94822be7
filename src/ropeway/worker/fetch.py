"""The loop that fetches: as many messages as there are places, and each to its place."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

from ropeway.claims import plan_claims, room
from ropeway.decide import Rules, screen
from ropeway.errors import RopewayError
from ropeway.message import ENVELOPE_VERSION, Delivery, Failure, Kind, Outcome
from ropeway.pauses import Pauses
from ropeway.store import Backend
from ropeway.worker.frames import TaskInfo
from ropeway.worker.held import Held
from ropeway.worker.patience import Patience
from ropeway.worker.places import Places
from ropeway.worker.settle import Settler, policy_of, terms_of

log = logging.getLogger("ropeway.worker")

IDLE_WAIT = 0.5
"""Seconds that one look waits for a message; also how long a stop may have to wait for it."""

_MOST_UNSETTLED = 1_000
_LOOK_ROUND = 1.0
"""Seconds after which even a busy worker looks for queues that are new."""


class Fetcher:
    """Claims what there is room for. Without `queues` it serves every queue there is."""

    def __init__(
        self,
        backend: Backend,
        places: Places,
        settler: Settler,
        held: Held,
        tasks: Mapping[str, TaskInfo],
        rules: Rules,
        *,
        holder: str,
        lease: float,
        queues: Sequence[str] | None,
    ) -> None:
        self._backend, self._places, self._settler, self._held = backend, places, settler, held
        self._tasks, self._rules = tasks, rules
        self._holder, self._lease = holder, lease
        self._every_queue = queues is None
        self._queues = list(queues or sorted({info.queue for info in tasks.values()} | {"default"}))
        self._pauses = Pauses(backend)
        self._empty: frozenset[str] = frozenset()
        self._mix: dict[Kind, float] = {}
        self._turn = 0
        self._idle = False
        self._looked_round = 0.0
        self.patience = Patience("jobs are fetched")
        self.stopping = False
        self.quiet = False
        self.rested = asyncio.Event()

    async def run(self) -> None:
        """Fetch until `stopping`; a backend that fails is tried again, more and more slowly."""
        while not self.stopping:
            try:
                await self.run_once()
            except RopewayError as error:
                await self.patience.rest(error)

    def rest(self, quiet: bool) -> None:
        """Claim nothing while `quiet`; `rested` is set when no claim is on its way any more."""
        self.quiet = quiet
        self.rested.clear()
        self._places.freed.set()

    async def run_once(self) -> int:
        """Claim once and hand out what came; returns how many messages came."""
        self._places.freed.clear()
        if self.quiet:
            self.rested.set()
            await self._room_or_a_while()
            return 0
        n = min(room(self._places.room(), self._mix), _MOST_UNSETTLED - len(self._held))
        if n <= 0:
            await self._room_or_a_while()
            return 0
        wait = IDLE_WAIT if self._idle else 0.0
        deliveries, now = await self.patience.ask(self._claim(n, wait), IDLE_WAIT)
        self._turn += 1
        self.take(deliveries, now)
        return len(deliveries)

    async def _claim(self, n: int, wait: float) -> tuple[list[Delivery], float]:
        if self._every_queue and time.monotonic() - self._looked_round > _LOOK_ROUND:
            await self._find_queues()
        queues = await self._pauses.open_ones(self._queues)
        # Asked for first: what is claimed is run, whatever fails after that.
        now, asked = await self._backend.now(), time.monotonic()
        if not queues:
            await asyncio.sleep(IDLE_WAIT)
            return [], now
        claims = plan_claims(queues, self._empty, n, self._turn)
        deliveries = await self._backend.receive(claims, self._holder, self._lease, wait)
        self._idle = len(deliveries) < max(claim.n for claim in claims)
        self._empty = frozenset(queues) - {each.message.queue for each in deliveries}
        return deliveries, now + time.monotonic() - asked

    def take(self, deliveries: Sequence[Delivery], now: float) -> None:
        """Hand out what was claimed: each to its place, or to be settled if it must not run."""
        fresh = self._settler.taken_over(self._held.add(deliveries))
        if fresh:
            self._hand_out(fresh, now)

    async def _room_or_a_while(self) -> None:
        try:
            async with asyncio.timeout(IDLE_WAIT):
                await self._places.freed.wait()
        except TimeoutError:
            pass

    async def _find_queues(self) -> None:
        self._looked_round = time.monotonic()
        known = {stats.queue for stats in await self._backend.stats()}
        self._queues += sorted(known.difference(self._queues))

    def _hand_out(self, deliveries: Sequence[Delivery], now: float) -> None:
        calls: list[tuple[Delivery, Kind]] = []
        for delivery in deliveries:
            policy = policy_of(delivery.message, self._tasks)
            refusal = screen(delivery, policy, now, self._rules)
            if refusal is not None:
                self._settler.add_settled(refusal)
            elif (outcome := self._unfit(delivery)) is not None:
                self._settler.add(delivery, outcome)
            else:
                own, terms = delivery.message.terms, terms_of(delivery.message, self._tasks)
                if (terms if own is None else own.over(terms)).early:
                    self._held.early.add(delivery.fence)
                calls.append((delivery, self._tasks[delivery.message.task].kind))
        self._learn_mix(calls)
        for delivery in self._places.run(calls):
            self._settler.add(delivery, Outcome(ending="interrupted"))

    def _unfit(self, delivery: Delivery) -> Outcome | None:
        message = delivery.message
        if delivery.unreadable is not None:
            error = Failure(type="Undecodable", message=delivery.unreadable)
            return Outcome(ending="undecodable", error=error)
        if message.version > ENVELOPE_VERSION:
            error = Failure(
                type="UnknownVersion",
                message=f"the message has version {message.version} of the envelope; this worker "
                f"reads up to {ENVELOPE_VERSION}: it needs a newer ropeway",
            )
            return Outcome(ending="unknown_task", error=error)
        if message.task not in self._tasks:
            error = Failure(
                type="UnknownTask",
                message=f"no task is called {message.task!r}; this worker knows "
                f"{len(self._tasks)}: {', '.join(sorted(self._tasks)[:10])}",
            )
            return Outcome(ending="unknown_task", error=error)
        return None

    def _learn_mix(self, calls: Sequence[tuple[Delivery, Kind]]) -> None:
        if not calls:
            return
        kinds = [kind for _, kind in calls]
        for kind in {*self._mix, *kinds}:
            share = kinds.count(kind) / len(kinds)
            self._mix[kind] = 0.7 * self._mix.get(kind, share) + 0.3 * share
