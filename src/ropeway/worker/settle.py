"""The loop that settles: what has ended becomes one commit, and is kept until that has answered."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from ropeway.broker import Broker
from ropeway.claims import MAX_BATCH
from ropeway.decide import NO_TERMS, Rules, decide
from ropeway.errors import RopewayError
from ropeway.message import Delivery, Fence, Message, Outcome, Terms
from ropeway.retry import DEFAULT, RetryPolicy
from ropeway.transition import Answer, Release, Transition
from ropeway.worker.endings import log_ending
from ropeway.worker.feeding import Fresh
from ropeway.worker.frames import TaskInfo
from ropeway.worker.held import Held
from ropeway.worker.patience import Patience

log = logging.getLogger("ropeway.worker")

T = TypeVar("T")
_RAN = ("returned", "raised", "timed_out")


class Settler:
    """Decides what follows from each outcome and commits it; counts what it `settled` for good.

    A commit without an answer is repeated, unchanged, until there is one: the backend tells a
    repetition from a second settle. What this worker gave back, and claimed again before it heard
    so, is handed to `resume`: who fetches runs it, and by default it is given back once more. After
    each commit `on_answers` is called: less is unsettled then.
    """

    def __init__(
        self, backend: Broker, tasks: Mapping[str, TaskInfo], held: Held, rules: Rules
    ) -> None:
        self._backend, self._tasks, self._held, self._rules = backend, tasks, held, rules
        self._ended: deque[tuple[Delivery, Outcome]] = deque()
        self._ready: deque[Transition] = deque()
        self._wake = asyncio.Event()
        self._busy = False
        self._lost: dict[str, Transition] = {}
        # What is to be given back, and has no answer yet.
        self._returning: dict[Fence, Delivery] = {}
        self.resume: Callable[[Delivery], None] = self._give_back
        self.on_answers: Callable[[], None] = lambda: None
        self.patience = Patience("results are settled")
        self.fresh = Fresh()
        self.settled = 0
        self.lost = 0

    @property
    def pending(self) -> bool:
        """Whether anything that was added has no answer yet."""
        return bool(self._ended or self._ready or self._busy)

    def add(self, delivery: Delivery, outcome: Outcome) -> None:
        """Settle `delivery` as its outcome demands."""
        if self._held.is_early(delivery.fence) and outcome.ending in _RAN:
            self._ran_settled(delivery, outcome)
            return
        if outcome.ending == "settled":
            self._held.drop(delivery.fence)
            self.settled += 1
            return
        self._ended.append((delivery, outcome))
        self._wake.set()

    def add_settled(self, transition: Transition) -> None:
        """Commit a transition that was decided elsewhere."""
        self._ready.append(transition)
        self._wake.set()

    def taken_over(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """These have come; return those whose end is not known yet, for they are to be run.

        A claim that went with a settle in one commit may have taken that job over from this very
        worker, when its lease was past, or when the server had forgotten the claim in a failover.
        The settle was refused then; now it holds.
        """
        if not self._lost:
            return list(deliveries)
        unknown: list[Delivery] = []
        for delivery in deliveries:
            refused = self._lost.get(delivery.fence.id)
            fence = refused.fence if refused else None
            if refused and fence and delivery.fence.attempt in {fence.attempt, fence.attempt + 1}:
                self._settle_anew(refused, delivery)
            else:
                unknown.append(delivery)
        # One claim is on its way at a time: what it has not brought, another worker has.
        for refused in self._lost.values():
            if refused.fence is not None:
                self._returning.pop(refused.fence, None)
        self._lost.clear()
        return unknown

    def _ran_settled(self, delivery: Delivery, outcome: Outcome) -> None:
        """It was settled before it ran: nobody but a reader of the log hears how it ended."""
        self._held.drop(delivery.fence)
        self.settled += 1
        if outcome.error is not None:
            what = f"{outcome.error.type}: {outcome.error.message.partition(chr(10))[0][:200]}"
            log.error(
                "job %s (ack=early) failed, and is not tried again: %s", delivery.fence.id, what
            )

    async def run(self) -> None:
        """Settle for ever; a backend that fails is tried again, more and more slowly."""
        while True:
            await self._wake.wait()
            await self.run_once()

    async def run_once(self) -> int:
        """Settle what has ended, at most one batch; returns how many."""
        now = await self._answer(self._backend.now) if self._ended else 0.0
        while self._ended and len(self._ready) < MAX_BATCH:
            delivery, outcome = self._ended.popleft()
            self._ready.append(self._decide(delivery, outcome, now))
        batch = [self._ready.popleft() for _ in range(min(MAX_BATCH, len(self._ready)))]
        if not self._ended and not self._ready:
            self._wake.clear()
        if batch:
            self._busy = True
            answers = await self._commit(batch)
            self._busy = False
            for transition, answer in zip(batch, answers, strict=True):
                self._answered(transition, answer)
            self.on_answers()
        return len(batch)

    async def drained(self) -> None:
        """Wait until everything that was added has its answer."""
        while self.pending:
            self._held.changed.clear()
            await self._held.changed.wait()

    def _decide(self, delivery: Delivery, outcome: Outcome, now: float) -> Transition:
        message = delivery.message
        terms = terms_of(message, self._tasks)
        policy = policy_of(message, self._tasks)
        transition = decide(delivery, outcome, policy, now, self._rules, terms)
        if isinstance(transition.settle, Release):
            self._returning[delivery.fence] = delivery
        return transition

    async def _commit(self, batch: list[Transition]) -> list[Answer]:
        try:
            return await self._answer(partial(self._backend.commit, batch))
        except Exception:
            if len(batch) > 1:
                # One of them cannot be written at all: the others must not wait for it.
                return [(await self._commit([each]))[0] for each in batch]
            log.exception("a job cannot be settled; it runs again when its lease is over")
            return [Answer(status="refused", reason="lost")]

    async def _answer(self, verb: Callable[[], Coroutine[Any, Any, T]]) -> T:
        while True:
            try:
                return await self.patience.ask(verb())
            except RopewayError as error:
                await self.patience.rest(error)

    def _answered(self, transition: Transition, answer: Answer) -> None:
        fence, settle = transition.fence, transition.settle
        assert fence is not None and settle is not None
        early = self._held.is_early(fence)
        again = self._held.drop(fence)
        ok = answer.ok
        if ok:
            self.fresh.note(transition)
            if self._returning:
                self._returning.pop(fence, None)
            if again is not None and again.fence == fence:
                again = None  # the server had forgotten the claim before
        if again is not None and ok:
            # Given back, and claimed by this very worker before the answer was here.
            self.resume(again)
        elif again is not None:
            # Its lease ran out, or the server forgot it: nobody but this worker took it over.
            self._settle_anew(transition, again)
            return
        if not ok and early:
            self._returning.pop(fence, None)
            log.warning("job %s (ack=early) was cut off, and does not run again", fence.id)
            return
        if not ok:
            self.lost += 1
            self._lost[fence.id] = transition
            log.warning(
                "job %s: attempt %d was not settled (%s): another worker has taken it over",
                fence.id,
                fence.attempt,
                answer.reason,
            )
            return
        if not isinstance(settle, Release):
            self.settled += 1
        log_ending(fence, settle)

    def _settle_anew(self, refused: Transition, delivery: Delivery) -> None:
        """This worker has claimed again what it could not settle: the settle holds for that now.

        Unless it was given back after all, and nobody heard of that: then it was charged already.
        """
        before = self._returning.pop(refused.fence, None) if refused.fence else None
        if before is not None and _charged(delivery) > _charged(before):
            self.resume(delivery)
        else:
            self.add_settled(msgspec.structs.replace(refused, fence=delivery.fence))

    def _give_back(self, delivery: Delivery) -> None:
        self.add(delivery, Outcome(ending="interrupted"))


def _charged(delivery: Delivery) -> int:
    return delivery.failures + delivery.losses + delivery.releases


def policy_of(message: Message, tasks: Mapping[str, TaskInfo]) -> RetryPolicy:
    """Return what a message brings along, else what its task says."""
    info = tasks.get(message.task)
    return message.policy or (info.policy if info else DEFAULT)


def terms_of(message: Message, tasks: Mapping[str, TaskInfo]) -> Terms:
    """Return what a message's task says of its terms; what the message says comes before it."""
    info = tasks.get(message.task)
    return info.terms if info is not None else NO_TERMS
