"""Queues keep their options on any backend: how many may wait, for how long, and what then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway.bounds import Queue, with_ttl
from ropeway.claims import Claim
from ropeway.decide import Keep
from ropeway.message import Delivery, JobRecord, job_key
from ropeway.states import State
from ropeway.store import Backend, queue_name
from ropeway.topology import STAMP
from ropeway.transition import Answer, Cancel, Record, Transition
from ropeway.wrappers.burying import Undertaker
from ropeway.wrappers.delegate import Delegate
from ropeway.wrappers.known import Known
from ropeway.wrappers.tenants import Tenants

_TRIES = 50
_PAGE = 500
"""Jobs that one step of trimming drops."""

_QUEUE = queue_name("")
_NOBODY = "kept out"
"""Nothing of this name ever changes."""

_decode = msgspec.msgpack.Decoder(JobRecord).decode


class Bounded(Delegate):
    """Gives what is published the guards that its queue asks for, and decides about the rest.

    The backend refuses what has no room in the very step that would publish it. A settle is never
    refused: it was accepted before. Options that another process has changed count here within a
    second; a process whose code declares them has them in force before it publishes. Where no queue
    has any, a look each second is all it costs.
    """

    def __init__(self, inner: Backend, known: Known | None = None) -> None:
        super().__init__(inner)
        self._known = known or Known()
        self._undertaker = Undertaker(inner, self._known)
        self._tenants = Tenants(inner, self._known)

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        queues = await self._known.queues(self.inner)
        if queues:
            answers = await self._commit(queues, transitions)
        else:
            answers = await self.inner.commit(transitions)
        if any(put.key == STAMP for each in transitions for put in each.put):
            self._known.forget()
        return answers

    async def receive(
        self, claims: Sequence[Claim], holder: str, lease: float, wait: float = 0.0
    ) -> list[Delivery]:
        admitted = await self._tenants.admit(claims, holder)
        if claims and not admitted:
            await self.inner.wait([_NOBODY], wait)
            return []
        return await self.inner.receive(admitted, holder, lease, wait)

    async def close(self) -> None:
        await self._tenants.leave()
        await self.inner.close()

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        found = await self.inner.get(keys)
        if STAMP in keys:
            # Whoever has seen here what is in force may count on it.
            record = found[keys.index(STAMP)]
            self._known.seen(record.version if record else 0)
        return found

    async def prune(self, keep: Keep, limit: int) -> int:
        queues = await self._known.queues(self.inner)
        if not queues:
            return await self.inner.prune(keep, limit)
        served = self._undertaker.served
        changed = await self.inner.prune(replace(keep, noted=(*keep.noted, *served)), limit)
        if served:
            changed += await self._undertaker.send_late()
        for queue in queues.values():
            if queue.overflow == "drop_oldest":
                changed += await self._trim(queue)
        return changed + await self._tenants.end_deserted()

    async def _commit(
        self, queues: Mapping[str, Queue], transitions: Sequence[Transition]
    ) -> list[Answer]:
        buried = await self._undertaker.bury(transitions)
        guarded = [_guarded(queues, each) for each in buried]
        answers = list(await self.inner.commit(guarded))
        left = {
            number: _Pending(guarded[number], answer.key, answer.current or 0)
            for number, answer in enumerate(answers)
            if answer.reason == "full"
        }
        for _ in range(_TRIES):
            steps = await self._steps(queues, left)
            if not steps:
                break
            told = await self.inner.commit([*steps.values()])
            for number, answer in zip(steps, told, strict=True):
                if left[number].goes_on(answer):
                    continue
                if not left[number].refused:
                    answers[number] = left[number].asked(answer)
                del left[number]
        return answers

    async def _steps(
        self, queues: Mapping[str, Queue], left: Mapping[int, _Pending]
    ) -> dict[int, Transition]:
        """Return what to try for those that found no room; nothing for what is refused for good."""
        found: dict[int, Transition] = {}
        dropping: dict[str, list[int]] = {}
        for number, pending in left.items():
            queue = queues.get(pending.queue)
            if queue is not None and queue.overflow == "drop_oldest":
                dropping.setdefault(queue.name, []).append(number)
            elif pending.leave_out(pending.queue):
                found[number] = pending.wanted
        for name, numbers in dropping.items():
            found |= await self._dropping(queues[name], {each: left[each] for each in numbers})
        return found

    async def _dropping(self, queue: Queue, left: Mapping[int, _Pending]) -> dict[int, Transition]:
        """Have each drop as many of those that have waited longest as it brings."""
        most, found = queue.max_length or 0, dict[int, Transition]()
        excess = max(0, *(each.waiting for each in left.values())) - most
        if excess > _PAGE:
            await self._trim(queue)
            return {number: each.wanted for number, each in left.items()}
        coming = {number: each.coming for number, each in left.items() if each.coming <= most}
        oldest = await self._oldest(queue.name, max(0, excess) + sum(coming.values()))
        for number, count in coming.items():
            victims = [oldest.pop(0) for _ in range(min(len(oldest), max(0, excess) + count))]
            excess = 0
            wanted = left[number].wanted
            room = {**wanted.room, queue.name: most + len(victims)}
            found[number] = self._without(replace(wanted, room=room), victims)
        return found

    def _without(self, step: Transition, victims: Sequence[_Seen]) -> Transition:
        """Have a step drop what waits, as it was seen, and send it to the dead letters."""
        sent = [
            letter
            for each in victims
            for letter in self._undertaker.letters(each.job, "maxlen", each.now)
        ]
        return replace(
            step,
            expect={**step.expect, **{job_key(each.id): each.version for each in victims}},
            cancel=(*step.cancel, *(Cancel(each.id) for each in victims)),
            publish=(*step.publish, *sent),
        )

    async def _oldest(self, queue: str, n: int) -> list[_Seen]:
        jobs = await self.inner.peek(queue, n)
        records = await self.inner.get([job_key(each.message.id) for each in jobs])
        now = await self.inner.now()
        found = [_Seen.of(record, now) for record in records if record is not None]
        return [each for each in found if each.job.state is State.QUEUED]

    async def _trim(self, queue: Queue) -> int:
        """Drop what is too much after releases, revivals and dead letters, which are not refused."""
        most = queue.max_length or 0
        (stats,) = await self.inner.stats([queue.name], most + _PAGE)
        excess = min(_PAGE, stats.ready + stats.delayed - most)
        if excess <= 0:
            return 0
        seen = await self._oldest(queue.name, excess)
        answers = await self.inner.commit([self._without(Transition(), [each]) for each in seen])
        return sum(each.ok for each in answers)


class _Seen(Struct, frozen=True):
    """A job that waits, in which version it was looked at, and when."""

    job: JobRecord
    version: int
    now: float

    @property
    def id(self) -> str:
        return self.job.message.id

    @classmethod
    def of(cls, record: Record, now: float) -> _Seen:
        return cls(_decode(record.value), record.version, now)


class _Pending:
    """What found no room in a queue: what of it is still wanted, and whether a part was refused."""

    def __init__(self, wanted: Transition, key: str | None, waiting: int) -> None:
        self.wanted, self.waiting = wanted, waiting
        self.queue = (key or "").removeprefix(_QUEUE)
        self.refused = False

    @property
    def coming(self) -> int:
        """How many of its messages are for that queue."""
        return sum(each.queue == self.queue for each in self.wanted.publish)

    def leave_out(self, queue: str) -> bool:
        """Go on with what is for other queues; False if there is none, or all is one step."""
        wanted = self.wanted
        rest = tuple(each for each in wanted.publish if each.queue != queue)
        if not rest or wanted != Transition(publish=wanted.publish, room=wanted.room):
            return False
        # It asks for the same room, so that a pair has all of it in its store, first and last.
        self.wanted, self.refused = Transition(publish=rest, room=wanted.room), True
        return True

    def asked(self, answer: Answer) -> Answer:
        """Return an answer with nothing in it of what was dropped."""
        mine = {each.id for each in self.wanted.cancel}
        cancelled = tuple(each for each in answer.cancelled if each in mine)
        return replace(answer, cancelled=cancelled)

    def goes_on(self, answer: Answer) -> bool:
        """Read an answer; whether there is something to try after it."""
        if answer.reason == "full":
            self.queue, self.waiting = (answer.key or "").removeprefix(_QUEUE), answer.current or 0
            return True
        # Somebody else was quicker with what it would have dropped.
        return answer.reason == "conflict" and answer.key not in self.wanted.expect


def _guarded(queues: Mapping[str, Queue], transition: Transition) -> Transition:
    """Return a transition with the ends and the limits that its messages have in their queues."""
    concerned = {each.queue for each in transition.publish} & queues.keys()
    if not concerned:
        return transition
    published = tuple(
        with_ttl(each, queues[each.queue]) if each.queue in concerned else each
        for each in transition.publish
    )
    limits = {} if transition.fence else {name: queues[name].max_length for name in concerned}
    room = {name: most for name, most in limits.items() if most is not None}
    return replace(transition, publish=published, room={**transition.room, **room})
