"""A broker without a store: what a worker holds is on record in its own process, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn, Protocol

import msgspec
from msgspec.structs import replace

from ropeway.broker import Held, QueueStats
from ropeway.broker_half import CORRELATION, REPLY_TO, Arrival, Reply
from ropeway.capabilities import Capabilities, require
from ropeway.claims import Claim, Limit, Meter
from ropeway.decide import Keep
from ropeway.errors import BackendUnavailable, Backpressure, Indeterminate, Refused
from ropeway.message import JOB_PREFIX, Delivery, Fence, JobRecord, Message, job_key
from ropeway.states import State
from ropeway.store import Backend, Causes, Count, Filter, Found
from ropeway.transition import Answer, Entry, Finish, Record, Reject, Transition
from ropeway.wrappers.answers import Answers
from ropeway.wrappers.delegate import Delegate
from ropeway.wrappers.halves import OWED, rests_in_broker
from ropeway.wrappers.native import NativePair, RoutingHalf
from ropeway.wrappers.together import first_of

SOLO = Capabilities(store=False, atomic=False, search=False, recorded=False)
"""What a broker can do that is alone."""

_KEPT = 60.0
"""Seconds for which a worker knows a job that has ended: a settle may be repeated."""

_NEWEST = 10_000
_LEASE = 600.0
"""Seconds at least for which a job is leased: nobody but this process could take it over."""

_BURIED = frozenset({State.FAILED, State.QUARANTINED})
_decode = msgspec.msgpack.Decoder(JobRecord).decode


class AnsweringHalf(RoutingHalf, Protocol):
    """A broker that hears the answers which come for this process."""

    async def listen(self, queue: str) -> None:
        """Hear what comes to a queue, which is made if need be."""
        ...


class Solo(NativePair):
    """A pair whose store is in memory, so that nothing is acknowledged before it has ended.

    A message is the broker's until its job is settled for good, what followed from it is published
    and its end is told: whatever dies before that, it comes back, and its counters begin anew. What
    failed for good goes to where dead letters are kept. A connection that is cut gives to others
    what is still running here, and nobody fences that.
    """

    def __init__(self, broker: AnsweringHalf, memory: Backend, answers: Answers) -> None:
        super().__init__(broker, memory)
        self._listening, self._answers = broker, answers
        self._unacked: dict[str, list[int]] = {}
        self._ended: set[int] = set()

    @property
    def capabilities(self) -> Capabilities:
        return SOLO

    # -- commit ---------------------------------------------------------------------------

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        wanted = [_briefly(each) for each in transitions]
        answers = await super().commit(wanted)
        for each, answer in zip(wanted, answers, strict=True):
            settle = each.settle
            if each.fence is None or not answer.ok:
                continue
            if isinstance(settle, Finish | Reject):
                bury = isinstance(settle, Reject) or settle.state in _BURIED
                await self._let_go(self._unacked.pop(each.fence.id, []), bury=bury)
        return answers

    async def _pay(self, messages: Sequence[Message], keys: Sequence[str]) -> None:
        if any(_wants_answer(each) for each in messages):
            queue = self._answers.queue
            await self._listening.listen(queue)
            messages = [
                replace(each, headers={**each.headers, REPLY_TO: queue, CORRELATION: each.id})
                if _wants_answer(each)
                else each
                for each in messages
            ]
        await super()._pay(messages, keys)

    async def _reply(self, transitions: Sequence[Transition], answers: Sequence[Answer]) -> None:
        asked = dict(self._asked)
        try:
            await super()._reply(transitions, answers)
        except Indeterminate:
            self._asked = asked  # it is repeated, and told then
            raise

    async def _tell(self, replies: Sequence[Reply]) -> None:
        try:
            await self._routing.reply(replies)
        except Refused:
            pass  # the name of its queue is none
        except (BackendUnavailable, Backpressure) as error:
            raise Indeterminate("it has ended, and nobody was told yet") from error

    async def _let_go(self, tags: Sequence[int], *, bury: bool) -> None:
        # What does not get through comes again, and is known here, or else runs again.
        with suppress(BackendUnavailable, Backpressure, Indeterminate):
            if bury and tags:
                await self.broker.nack(tags, requeue=False)
            elif tags:
                await self.broker.ack(tags)

    # -- receive --------------------------------------------------------------------------

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        return await super().receive(claims, holder, max(lease, _LEASE), wait)

    async def extend(self, fences: Sequence[Fence], lease: float) -> list[Held]:
        return await super().extend(fences, max(lease, _LEASE))

    async def _claim(self, claims: Sequence[Claim], holder: str, lease: float) -> list[Delivery]:
        # What is here goes first: it can go nowhere else.
        return await self.inner.receive(claims, holder, lease) or await super()._claim(
            claims, holder, lease
        )

    async def _meet_again(self, arrivals: list[Arrival]) -> None:
        """See to messages that are known here: the connection was cut, or they were sent twice."""
        for each, record in zip(
            arrivals, await self.inner.get([job_key(a.message.id) for a in arrivals]), strict=True
        ):
            state = _decode(record.value).state if record else State.QUEUED
            if state.final:
                await self._replay([OWED + each.message.id])
                self._ended.add(each.tag)
                await self._let_go([each.tag], bury=state in _BURIED)

    async def _hold(self, found: list[Delivery], arrivals: list[Arrival]) -> None:
        for each in arrivals:
            if each.tag not in self._ended:
                self._unacked.setdefault(each.message.id, []).append(each.tag)
        self._ended.clear()

    async def _ack(self, fences: Sequence[Fence]) -> None:  # type: ignore[override]
        """Nothing yet: an attempt is over, and perhaps not its job."""

    async def prune(self, keep: Keep, limit: int) -> int:
        return await super().prune(replace(keep, newest=min(keep.newest, _NEWEST)), limit)

    # -- answers --------------------------------------------------------------------------

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        kept = await self.inner.get(keys)
        return [self._answers.record(key) or record for key, record in zip(keys, kept, strict=True)]

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        if not any(name.startswith(JOB_PREFIX) for name in names):
            return await super().wait(names, timeout)
        await self._listening.listen(self._answers.queue)
        told = self._answers.wait(names, timeout)
        return await first_of(told, super().wait(names, timeout))


class Storeless(Delegate):
    """Refuses what asks for records that nobody would keep; what is left is sending, and answers."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        for each in transitions:
            for message in each.publish:
                refuse_unkept(message)
            if each.fence is None and each != Transition(publish=each.publish):
                _refuse("what is written beside a message")
        return await self.inner.commit(transitions)

    async def declare(self, limits: Sequence[Limit]) -> None:
        if limits:
            _refuse("a limit")

    async def meters(self, names: Sequence[str]) -> list[Meter]:
        _refuse("a limit")

    async def peek(self, queue: str, limit: int = 50) -> list[JobRecord]:
        _refuse("a look at what waits")

    async def stats(self, queues: Sequence[str] | None = None, cap: int = 0) -> list[QueueStats]:
        if queues is None:
            _refuse("a list of all queues")
        return await self.inner.stats(queues, cap)

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> list[Record]:
        _refuse("a look at records")

    async def read(self, log: str, after: int = 0, limit: int = 100) -> list[Entry]:
        _refuse("a topic")

    async def search(self, which: Filter, before: str | None = None, limit: int = 50) -> Found:
        _refuse("a search")

    async def count(self, which: Filter, cap: int = 100_000) -> Count:
        _refuse("a search")

    async def causes(self, which: Filter, limit: int = 50) -> Causes:
        _refuse("a search")


def _refuse(what: str) -> NoReturn:
    require(SOLO, "store", what)
    raise AssertionError("it has none")


def refuse_unkept(message: Message) -> None:
    """Raise `Unsupported` for a message that would have to rest in a store."""
    terms = message.terms
    asks = {
        "a call with a delay or a date": message.due is not None or message.delay > 0,
        "a call that expires": message.expires is not None
        or (terms is not None and terms.expires is not None),
        "a unique call": terms is not None and terms.unique is not None,
        "a call with a key": message.key is not None,
        "a call with limits": bool(message.limits),
        "an exchange": message.mandatory is not None,
        "a node of a workflow": terms is not None and terms.node is not None,
    }
    for what, asked in asks.items():
        if asked:
            _refuse(what)
    if not rests_in_broker(message):
        _refuse("a call with a priority")


def _wants_answer(message: Message) -> bool:
    kept = message.terms is None or message.terms.store is not False
    return kept and REPLY_TO not in message.headers


def _briefly(transition: Transition) -> Transition:
    settle = transition.settle
    if isinstance(settle, Finish | Reject) and settle.keep > _KEPT:
        return replace(transition, settle=replace(settle, keep=_KEPT))
    return transition
