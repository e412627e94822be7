"""A broker that knows no transactions and a store that does: together a backend."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress

import msgspec
from msgspec.structs import replace

from ropeway.broker import Held, QueueStats
from ropeway.broker_half import Arrival, BrokerHalf
from ropeway.capabilities import Capabilities
from ropeway.claims import Claim
from ropeway.decide import Keep
from ropeway.errors import BackendUnavailable, Backpressure, Indeterminate
from ropeway.message import DEFAULT_BAND, Delivery, Fence, JobRecord, Message, job_key, solo_key
from ropeway.store import Backend, queue_name
from ropeway.transition import APPLIED, Answer, Drop, Record, Transition
from ropeway.wrappers.delegate import Delegate
from ropeway.wrappers.halves import (
    OWED,
    Part,
    asked,
    ending,
    over,
    owed,
    part,
    taking_in,
    taking_over,
)
from ropeway.wrappers.together import at_once, first_of, in_turn

POLL = 0.25
"""Seconds after which a waiting `receive` looks by itself, whatever hints it gets."""

_QUEUE = queue_name("")
_decode_job = msgspec.msgpack.Decoder(JobRecord).decode


class Paired(Delegate):
    """Commits in the store first, then publishes, and acknowledges last.

    Plain messages travel through the broker; what has a date, a delay, a band, a key, a limit or
    an end, or asks for room, rests in the store, which is a full backend. What arrives is taken
    into the store before it is handed out, and the claim that the store keeps of it is the fence.
    So whatever dies, and however often a message arrives, the store knows what is still to do; its
    records have to be kept for longer than a message may rest in the broker.

    A `looped` one, whose verbs run on an event loop, claims while what arrived is on its way to the
    store: one that the claim has overtaken is with the store, for whoever asks next.
    """

    def __init__(self, broker: BrokerHalf, store: Backend, *, looped: bool = False) -> None:
        super().__init__(store)
        self.broker = broker
        self._both = at_once if looped else in_turn
        # Why something could not be taken in, while something else was claimed beside it.
        self._wrong: Exception | None = None
        # Of what runs here and came through the broker: acknowledged when it is settled, so that
        # the end of this connection tells the next worker at once that it may take over.
        self._tags: dict[Fence, list[int]] = {}

    @property
    def capabilities(self) -> Capabilities:
        store, broker = self.inner.capabilities, self.broker.capabilities
        return replace(
            store,
            atomic=False,
            recorded=False,
            joint=False,
            durable=store.durable and broker.durable,
            shared=store.shared and broker.shared,
        )

    async def open(self) -> None:
        await self.inner.open()
        await self.broker.open()

    async def close(self) -> None:
        await self.broker.close()
        await self.inner.close()

    # -- commit ---------------------------------------------------------------------------

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        parts = [part(each) for each in transitions]
        stored = [each.store for each in parts if each.store]
        kept = iter(await self.inner.commit(stored) if stored else ())
        answers = [next(kept) if each.store else APPLIED for each in parts]
        try:
            await self._publish(parts, answers)
        except (BackendUnavailable, Backpressure) as error:
            if not stored:
                raise
            raise Indeterminate("the store has it, the broker was not reached") from error
        await self._ack(over(transitions, answers))
        return [asked(*pair) for pair in zip(answers, transitions, strict=True)]

    async def _publish(self, parts: list[Part], answers: list[Answer]) -> None:
        """Send what the store has let pass; who repeats a settle may have died before that."""
        fresh, repeated = (
            [each for each, answer in zip(parts, answers, strict=True) if answer.status == status]
            for status in ("applied", "repeated")
        )
        messages = [message for each in fresh for message in each.owed]
        await self._pay(messages, [each.paid for each in fresh if each.paid])
        await self._replay([each.paid for each in repeated if each.paid])

    async def _pay(self, messages: Sequence[Message], keys: Sequence[str]) -> None:
        if messages:
            await self.broker.publish(messages)
        if keys:
            await self.inner.commit([Transition(drop=tuple(map(Drop, keys)))])

    async def _replay(self, keys: Sequence[str]) -> None:
        if keys:
            await self._pay_records([each for each in await self.inner.get(keys) if each])

    async def _pay_records(self, records: Sequence[Record]) -> None:
        messages = [message for each in records for message in owed(each.value)]
        await self._pay(messages, [each.key for each in records])

    async def replay_owed(self, limit: int) -> int:
        """Publish what workers that died owed for at most `limit` jobs; return for how many."""
        records = await self.inner.scan(OWED, limit=limit)
        await self._pay_records(records)
        return len(records)

    async def prune(self, keep: Keep, limit: int) -> int:
        await self.replay_owed(limit)
        forgotten = await self.broker.prune(keep, limit)
        return forgotten + await self.inner.prune(keep, limit)

    # -- receive and extend ---------------------------------------------------------------

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        found = await self._claim(claims, holder, lease)
        names = [queue_name(claim.queue) for claim in claims]
        deadline = time.monotonic() + wait
        while names and not found and (left := deadline - time.monotonic()) > 0:
            await self.wait(names, min(left, POLL))
            found = await self._claim(claims, holder, lease)
        return found

    async def _claim(self, claims: Sequence[Claim], holder: str, lease: float) -> list[Delivery]:
        arrivals: list[Arrival] = []
        if (wrong := self._wrong) is not None:
            self._wrong = None
            raise wrong
        try:
            await self._get(claims, arrivals, look=False)
            if not arrivals:
                await self._get(claims, arrivals, look=True)
            claiming = self.inner.receive(claims, holder, lease)
            if not arrivals:
                found = await claiming
            else:
                # What one that was redelivered tells of its holder comes before a claim.
                told = any(each.redelivered for each in arrivals)
                both = in_turn if told else self._both
                wrong, found = await both(self._take_in(arrivals), claiming)
                if wrong is not None:
                    self._wrong = wrong  # what was claimed is handed on first
                    await self._leave(arrivals, found)
        except (Exception, asyncio.CancelledError):
            with suppress(BackendUnavailable):
                await self.broker.nack([each.tag for each in arrivals], requeue=True)
            raise
        await self._hold(found, arrivals)
        return found

    async def _get(self, claims: Sequence[Claim], arrivals: list[Arrival], *, look: bool) -> None:
        for claim in claims:
            if claim.lowest <= DEFAULT_BAND <= claim.highest:
                arrivals += await self.broker.get(claim.queue, claim.n, claim.wanted, look=look)

    async def _leave(self, arrivals: list[Arrival], found: list[Delivery]) -> None:
        """Give back what was not taken in, for all that is known: what was claimed has been."""
        mine = {each.fence.id for each in found}
        left = [each.tag for each in arrivals if each.message.id not in mine]
        arrivals[:] = [each for each in arrivals if each.message.id in mine]
        await self.broker.nack(left, requeue=True)

    async def _take_in(self, arrivals: list[Arrival]) -> None:
        """Make what arrived the store's own; from there it is claimed like everything else."""
        answers = await self.inner.commit([taking_in(each.message) for each in arrivals])
        told = defaultdict[str, list[Arrival]](list)
        for each, answer in zip(arrivals, answers, strict=True):
            told[answer.reason or answer.status].append(each)
        if known := told.pop("repeated", None):
            await self._meet_again(known)
        if called_off := told.pop("conflict", None):
            await self.inner.commit([ending(each.message) for each in called_off])
        told.pop("applied", None)
        for reason, refused in told.items():
            # A known id with other content goes to where dead letters are looked at: its sender
            # was told that it is kept. What the store has no room for waits in the broker.
            arrivals[:] = [each for each in arrivals if each not in refused]
            await self.broker.nack([each.tag for each in refused], requeue=reason != "duplicate")

    async def _hold(self, found: list[Delivery], arrivals: list[Arrival]) -> None:
        """Keep the tags of what was claimed; the rest is safe with the store, for whoever asks."""
        mine = {each.fence.id: each.fence for each in found}
        for each in arrivals:
            if fence := mine.get(each.message.id):
                self._tags.setdefault(fence, []).append(each.tag)
        await self._ack_tags([each.tag for each in arrivals if each.message.id not in mine])

    async def _meet_again(self, arrivals: list[Arrival]) -> None:
        """See to messages that the store had before: a redelivery, or a publisher's duplicate.

        Of what is settled, what it owed is published. What a connection that has gone was running
        is taken from its holder. All else needs nothing: the store has it, and its lease ends.
        """
        records = await self.inner.get([job_key(each.message.id) for each in arrivals])
        jobs = [_decode_job(each.value) if each else None for each in records]
        pairs = list(zip(arrivals, jobs, strict=True))
        await self._replay([OWED + job.message.id for _, job in pairs if job and job.state.final])
        dropped = [job for each, job in pairs if job and each.redelivered]
        marks = await self.inner.get([solo_key(job.message.id) for job in dropped])
        left = [
            taking_over(job, mark.value if mark else None)
            for job, mark in zip(dropped, marks, strict=True)
        ]
        if taken := [each for each in left if each]:
            await self.inner.commit(taken)

    async def extend(self, fences: Sequence[Fence], lease: float) -> list[Held]:
        answers = await self.inner.extend(fences, lease)
        pairs = zip(fences, answers, strict=True)
        await self._ack([fence for fence, answer in pairs if answer == "lost"])
        return answers

    async def _ack(self, fences: Iterable[Fence]) -> None:
        await self._ack_tags([tag for each in fences for tag in self._tags.pop(each, ())])

    async def _ack_tags(self, tags: Sequence[int]) -> None:
        # One that does not get through is a redelivery, of what the store knows.
        with suppress(BackendUnavailable):
            if tags:
                await self.broker.ack(tags)

    # -- people and hints -----------------------------------------------------------------

    async def stats(self, queues: Sequence[str] | None = None, cap: int = 0) -> list[QueueStats]:
        kept = {each.queue: each for each in await self.inner.stats(queues, cap)}
        depths = await self.broker.depths(queues)
        names = sorted({*kept, *depths}) if queues is None else queues
        found = [kept.get(name) or QueueStats(queue=name) for name in names]
        return [
            replace(each, ready=min(cap, each.ready + depths.get(each.queue, 0))) for each in found
        ]

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        queues = [name.removeprefix(_QUEUE) for name in names if name.startswith(_QUEUE)]
        if not queues:
            return await self.inner.wait(names, timeout)
        return await first_of(self.inner.wait(names, timeout), self._hints(queues, timeout))

    async def _hints(self, queues: Sequence[str], timeout: float) -> list[str]:
        return [queue_name(queue) for queue in await self.broker.wait(queues, timeout)]
