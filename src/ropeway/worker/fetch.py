"""The loop that fetches: as many messages as there are places, and each to its place."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from ropeway.claims import MAX_BATCH, Claim, plan_claims, serves
from ropeway.decide import Rules, screen
from ropeway.errors import RopewayError
from ropeway.message import ENVELOPE_VERSION, Delivery, Failure, Kind, Outcome
from ropeway.pauses import Pauses
from ropeway.resources import split
from ropeway.store import Backend, queue_name
from ropeway.topics.records import fed_by
from ropeway.worker.asking import Asking, Wanted
from ropeway.worker.drain import either
from ropeway.worker.frames import TaskInfo, own_tasks
from ropeway.worker.held import Held
from ropeway.worker.inlets import Inlets
from ropeway.worker.patience import Patience
from ropeway.worker.places import Places
from ropeway.worker.settle import Settler, policy_of, terms_of
from ropeway.worker.ticks import until

log = logging.getLogger("ropeway.worker")

IDLE_WAIT = 0.5
"""Seconds that one look waits for a message; also how long a stop may have to wait for it."""

_LOOK_WAIT = 0.01
"""Seconds that a look waits which must not keep those from being asked for whose room comes back."""

_BESIDE_FULL = 0.25
"""Seconds after which a worker looks again for what it has places for, while others are full."""

_MOST_UNSETTLED = 2_000
"""Claimed and not settled: more than a few children hold and one commit settles."""

_GATHERING = 0.01
"""Seconds for which room in advance gathers, so that many calls come by one claim and not by many."""

_INTERRUPTED = Outcome(ending="interrupted")
_NO_PLACE = Outcome(ending="interrupted", after=1.0)
"""What becomes of a call whose place is not of the kind that its message says, and is taken."""

_LOOK_ROUND = 1.0
"""Seconds after which even a busy worker looks for queues that are new."""


class Fetcher:
    """Claims what there is room for, from the queues that `serves` tells: without any, from all."""

    def __init__(
        self,
        backend: Backend,
        places: Places,
        settler: Settler,
        held: Held,
        tasks: Mapping[str, TaskInfo],
        rules: Rules,
        *,
        inlets: Inlets,
        holder: str,
        lease: float,
        queues: Sequence[str] | None,
    ) -> None:
        self._inlets = inlets
        self._backend, self._places, self._settler, self._held = backend, places, settler, held
        self._tasks, self._rules = tasks, rules
        self._holder, self._lease = holder, lease
        self._served = queues
        self._offers = held.offers
        self._offers.on_free = places.freed.set
        patterns = queues is not None and any("*" in queue for queue in queues)
        self._finds = queues is None or patterns or bool(held.offers.amounts)
        own = sorted({info.queue for info in tasks.values()} | {"default"})
        self._queues = [queue for queue in queues or () if "*" not in queue]
        self._queues += [each for each in own if self._serves(each) and each not in self._queues]
        self._pauses = Pauses(backend)
        self._asking = Asking(frozenset(info.kind for info in tasks.values()))
        self._empty: frozenset[Claim] = frozenset()
        self._turn = 0
        self._idle = False
        self._looked_round = 0.0
        # What the backend's clock and this machine's said at the last claim.
        self._then = (0.0, 0.0)
        self._gathering: float | None = None
        settler.resume, settler.on_answers = self._resume, places.freed.set
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
        if self._gathers():
            await self._freed_within(_GATHERING)
            return 0
        most = MAX_BATCH if len(self._held) <= _MOST_UNSETTLED - MAX_BATCH else 0
        wanted = self._asking.wanted(self._places.room(), most, time.monotonic())
        if not wanted:
            await self._room_or_a_while()
            return 0
        # A claim that waits cannot be changed: it must ask for all that may have a place meanwhile.
        whole = self._asking.covers_all(wanted)
        wait = (until(IDLE_WAIT) if whole else _LOOK_WAIT) if self._idle else 0.0
        deliveries, now = await self.patience.ask(self._claim(wanted, wait), IDLE_WAIT)
        self._turn += 1
        await self.take(deliveries, now)
        if not deliveries and (self._offers.short or not whole):
            await self._room_or_a_hint()
        return len(deliveries)

    async def _claim(self, wanted: Wanted, wait: float) -> tuple[list[Delivery], float]:
        if self._finds and time.monotonic() - self._looked_round > _LOOK_ROUND:
            await self._find_queues()
        queues = await self._pauses.open_ones(self._queues)
        # Asked for first: what is claimed is run, whatever fails after that.
        now, asked = await self._backend.now(), time.monotonic()
        if not queues:
            await asyncio.sleep(IDLE_WAIT)
            return [], now
        claims = [
            claim
            for kinds, n in wanted.items()
            for claim in plan_claims(queues, self._empty_of(kinds), n, self._turn, kinds)
        ]
        claims = self._offers.cut(claims, queues)
        if not claims:
            return [], now
        if self._offers.short:
            wait = min(wait, _LOOK_WAIT)
        deliveries = await self._backend.receive(claims, self._holder, self._lease, wait)
        self._learn_what_is_empty(claims, deliveries)
        self._then = (now, asked)
        return deliveries, now + time.monotonic() - asked

    def _empty_of(self, kinds: tuple[Kind, ...]) -> frozenset[str]:
        return frozenset(claim.queue for claim in self._empty if claim.kinds == kinds)

    def _learn_what_is_empty(self, claims: Sequence[Claim], deliveries: Sequence[Delivery]) -> None:
        came = {(each.message.queue, each.message.kind) for each in deliveries}
        self._asking.note(kind for _, kind in came)
        self._idle = len(deliveries) < max(claim.n for claim in claims)
        self._empty = frozenset(
            claim
            for claim in claims
            if came.isdisjoint((claim.queue, kind) for kind in claim.wanted)
        )

    async def take(self, deliveries: Sequence[Delivery], now: float) -> None:
        """Hand out what was claimed: each to its place, or to be settled if it must not run.

        What a claim brings that was on its way when the worker was told to stop goes back.
        """
        fresh = self._settler.taken_over(self._held.add(deliveries))
        names = [name for each in fresh if (name := fed_by(each.message.queue)) is not None]
        if names:
            with suppress(RopewayError):  # the next claim tells of it; these are given back
                await self.patience.ask(self._inlets.learn(names))
        if self.stopping:
            for delivery in fresh:
                self._settler.add(delivery, _INTERRUPTED)
        elif fresh:
            self._hand_out(fresh, now)

    def _resume(self, delivery: Delivery) -> None:
        """Run what came while its release was on its way: given back again, it would come again."""
        if self.stopping or self.quiet:
            self._settler.add(delivery, _INTERRUPTED)
        else:
            now, asked = self._then
            self._hand_out([delivery], now + time.monotonic() - asked)

    def _gathers(self) -> bool:
        """Whether to wait for more room: what runs goes on meanwhile, and more waits behind it."""
        if not self._places.thin:
            self._gathering = None
            return False
        now = time.monotonic()
        if self._gathering is None:
            self._gathering = now
        if now - self._gathering < _GATHERING:
            return True
        self._gathering = None
        return False

    async def _room_or_a_while(self) -> None:
        await self._freed_within(IDLE_WAIT)

    async def _freed_within(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._places.freed.wait()
        except TimeoutError:
            pass

    async def _room_or_a_hint(self) -> None:
        """Wait until something ends, or comes. A due time that is reached is seen a little late."""
        await either(self._places.freed.wait(), self._hint())

    async def _hint(self) -> None:
        try:
            await self._backend.wait([queue_name(each) for each in self._queues], _BESIDE_FULL)
        except RopewayError:
            # The next claim tells of it.
            await asyncio.sleep(_BESIDE_FULL)

    def _serves(self, queue: str) -> bool:
        return serves(self._served, split(queue)[0]) and self._offers.serves(queue)

    async def _find_queues(self) -> None:
        self._looked_round = time.monotonic()
        now, there = await self._backend.now(), await self._backend.stats()
        known = {stats.queue: stats.oldest_due for stats in there if self._serves(stats.queue)}
        self._offers.look(queue for queue, due in known.items() if due is not None and due <= now)
        self._queues += sorted(known.keys() - set(self._queues))

    def _hand_out(self, deliveries: Sequence[Delivery], now: float) -> None:
        calls: list[tuple[Delivery, Kind]] = []
        for delivery in deliveries:
            policy = policy_of(delivery.message, self._tasks)
            refusal = screen(delivery, policy, now, self._rules)
            if refusal is not None:
                self._settler.add_settled(refusal)
            elif (taken_in := self._inlets.taken_in(delivery)) is not None:
                self._settler.add_settled(taken_in)
            elif (outcome := self._unfit(delivery)) is not None:
                self._settler.add(delivery, outcome)
            else:
                own, terms = delivery.message.terms, terms_of(delivery.message, self._tasks)
                if (terms if own is None else own.over(terms)).early:
                    self._held.early.add(delivery.fence)
                kind = self._tasks[delivery.message.task].kind
                calls.append((self._settler.fresh.fed(delivery), kind))
        detours: set[Kind] = set()
        for delivery in self._places.run(calls):
            message = delivery.message
            if self._tasks[message.task].kind == message.kind:
                # There was room when it was asked for.
                self._settler.add(delivery, _INTERRUPTED)
            else:
                detours.add(message.kind)
                self._settler.add(delivery, _NO_PLACE)
        seen = {(delivery.message.kind, kind) for delivery, kind in calls}
        self._asking.learn(seen, detours, time.monotonic())

    def _unfit(self, delivery: Delivery) -> Outcome | None:
        message = delivery.message
        if delivery.forged is not None:
            error = Failure(type="BadSignature", message=delivery.forged)
            return Outcome(ending="bad_signature", error=error)
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
            known = sorted(own_tasks(self._tasks))
            error = Failure(
                type="UnknownTask",
                message=f"no task is called {message.task!r}; this worker knows "
                f"{len(known)}: {', '.join(known[:10])}",
            )
            return Outcome(ending="unknown_task", error=error)
        return None
