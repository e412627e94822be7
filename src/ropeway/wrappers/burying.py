"""Dead letters: what is published when a job expires, is dropped, or ends badly."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from ropeway.bounds import with_ttl
from ropeway.deadletters import Reason, dead_letter, goes_round, reason_of
from ropeway.message import LATE_PREFIX, Fence, JobRecord, Message, job_key
from ropeway.states import State
from ropeway.store import Backend
from ropeway.transition import Drop, Record, Transition
from ropeway.wrappers.known import Known
from ropeway.wrappers.routed import copies
from ropeway.wrappers.signed import Signed

_PAGE = 500
_REMEMBERED = 1_000
_decode = msgspec.msgpack.Decoder(JobRecord).decode


class Undertaker:
    """Has what dies in a queue with a dead-letter exchange published there, in the same step."""

    def __init__(self, backend: Backend, known: Known) -> None:
        self._backend, self._known = backend, known
        # Settles with the letters they publish: one may be asked for again, and must be the same.
        self._buried: OrderedDict[Fence, Transition] = OrderedDict()

    @property
    def served(self) -> tuple[str, ...]:
        """The queues whose dead are sent on."""
        queues = self._known.topology.queues.values()
        return tuple(each.name for each in queues if each.dead_letter_exchange is not None)

    async def bury(self, transitions: Sequence[Transition]) -> Sequence[Transition]:
        """Add to settles that end badly what they publish."""
        ending = {
            number: each.fence
            for number, each in enumerate(transitions)
            if each.fence is not None and reason_of(each.settle) is not None
        }
        if not ending or not self.served:
            return transitions
        records = await self._vouched([job_key(fence.id) for fence in ending.values()])
        now, found = await self._backend.now(), list(transitions)
        for (number, fence), record in zip(ending.items(), records, strict=True):
            found[number] = self._with_letters(found[number], fence, record, now)
        return found

    def letters(self, job: JobRecord, reason: Reason, now: float) -> list[Message]:
        """Return what goes where for a job that died in its queue."""
        queues = self._known.topology.queues
        queue = queues.get(job.message.queue)
        letter = None if queue is None else dead_letter(job, queue, reason, now)
        if letter is None:
            return []
        try:
            ends = self._known.router.route(letter.exchange, letter.routing_key, letter.headers)
        except LookupError:
            return []  # there is no such exchange: it is lost, as it is in RabbitMQ
        sent = copies(letter, [name for name in ends if not goes_round(letter, name)])
        return [
            with_ttl(each, queues[each.queue]) if each.queue in queues else each for each in sent
        ]

    async def send_late(self) -> int:
        """Publish for what has expired unseen, each in the step that drops its note; return how many."""
        notes = await self._backend.scan(LATE_PREFIX, "", _PAGE)
        if not notes:
            return 0
        ids = [each.key.removeprefix(LATE_PREFIX) for each in notes]
        records = await self._vouched([job_key(each) for each in ids])
        now, steps = await self._backend.now(), list[Transition]()
        for note, record in zip(notes, records, strict=True):
            sent = self.letters(_decode(record.value), "expired", now) if record else ()
            done = Drop(note.key)
            steps.append(
                Transition(expect={note.key: note.version}, drop=(done,), publish=tuple(sent))
            )
        return sum(each.ok for each in await self._backend.commit(steps))

    async def _vouched(self, keys: Sequence[str]) -> list[Record | None]:
        """Return jobs on record, but none whose signature does not hold: its letter would be signed."""
        records = await self._backend.get(keys)
        if not isinstance(self._backend, Signed):
            return records
        messages = [_decode(each.value).message for each in records if each]
        forged = {job_key(each) for each in await self._backend.faults(messages)}
        return [None if each is None or each.key in forged else each for each in records]

    def _with_letters(
        self, transition: Transition, fence: Fence, record: Record | None, now: float
    ) -> Transition:
        if (known := self._buried.get(fence)) is not None:
            return known
        job, reason = _decode(record.value) if record else None, reason_of(transition.settle)
        if job is None or reason is None or job.state is not State.RUNNING:
            return transition
        sent = self.letters(job, reason, now)
        if not sent:
            return transition
        buried = msgspec.structs.replace(transition, publish=(*transition.publish, *sent))
        self._buried[fence] = buried
        if len(self._buried) > _REMEMBERED:
            self._buried.popitem(last=False)
        return buried
