"""How events become runs of a handler, and how far its subscription has come: all pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, get_origin

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from ropeway.decide import NO_TERMS
from ropeway.depends import sent_parameters
from ropeway.errors import BadTask
from ropeway.ids import derived_id, first_id
from ropeway.message import Message
from ropeway.retry import RetryPolicy, delay_for
from ropeway.task import Task
from ropeway.topics.events import Event, Stored, event_of
from ropeway.topics.records import Cursor
from ropeway.transition import Entry

MOST_OPEN = 200
"""Events that a holder has begun and not noted as done: what a crash runs again, at most."""

WIDEST = 10_000
"""How far behind an event that takes long others may be done."""

MOST_PARKED = 1_000
"""Keys, or events without one, that wait as jobs of their own: with so many the cursor waits too."""


class Fact(Struct, frozen=True, gc=False):
    """An event as it is handed out: where it was read, and what it holds."""

    entry: Entry
    stored: Stored

    @property
    def offset(self) -> int:
        """Its place in the log."""
        return self.entry.offset


class Handler:
    """How a subscription's task takes an event: its data, or the whole `Event`."""

    def __init__(self, task: Task[..., Any]) -> None:
        self.task = task
        self._name = event_parameter(task)

    @property
    def _whole(self) -> bool:
        hint = self.task.definition.signature.annotation(self._name)
        return hint is Event or get_origin(hint) is Event

    def body(self, cursor: Cursor, fact: Fact) -> bytes:
        """Return the arguments of its call for an event."""
        stored = fact.stored
        data: Any = Raw(stored.data)
        if self._whole:
            data = event_of(cursor.topic, cursor.partition, fact.entry, stored, data)
        elif stored.format == "json":
            return b'{"%s":%s}' % (self._name.encode(), stored.data)
        written = {self._name: data}
        if stored.format == "json":
            return msgspec.json.encode(written)
        return msgspec.msgpack.encode(written)

    def parked(self, cursor: Cursor, fact: Fact, delay: float | None) -> Message:
        """Return the job that an event becomes; `delay` is None for one that has not run yet."""
        stored, options = fact.stored, self.task.options
        definition = self.task.definition
        terms = replace(options.terms or NO_TERMS, store=False, version=stored.version)
        job = run_id(cursor, fact)
        return Message(
            id=job,
            task=self.task.name,
            body=self.body(cursor, fact),
            queue=options.queue,
            band=options.band,
            key=line_of(cursor, stored.key),
            delay=delay or 0.0,
            kind=definition.kind,
            policy=definition.policy if delay is None else one_less(definition.policy),
            headers=stored.headers,
            content_type=stored.content_type,
            limits=options.limits,
            terms=terms,
            routing_key=cursor.topic,
        )

    def delay(self, cursor: Cursor, fact: Fact) -> float:
        """Return how long an event waits after the first failure of its handler."""
        policy = self.task.definition.policy
        return delay_for(policy, run_id(cursor, fact), 1) if policy.retries else 0.0


def event_parameter(task: Task[..., Any]) -> str:
    """Return the name of the parameter that takes the event; raises `BadTask` if there is not one."""
    names = [each.name for each in sent_parameters(task.definition.function, task.name)]
    if len(names) != 1:
        raise BadTask(
            f"{task.name} takes {len(names)} arguments and is to take one, the event",
            hint="def handle(event: PhotoLiked), or with Event[PhotoLiked] all about it",
        )
    return names[0]


def run_id(cursor: Cursor, fact: Fact) -> str:
    """Return the id of an event's run for a subscription: the same over all its attempts.

    It goes by the place of the event: who publishes may give one id to two events.
    """
    turn = f"{cursor.subscription}/{cursor.generation}/{cursor.replay}"
    name = f"{turn}/{cursor.topic}/{cursor.partition}/{fact.offset}"
    return derived_id(first_id(fact.entry.appended), name)


def line_of(cursor: Cursor, key: str | None) -> str | None:
    """Return the key of the jobs that events of a key become."""
    return None if key is None else f"{cursor.topic}/{cursor.subscription}/{key}"


def one_less(policy: RetryPolicy) -> RetryPolicy:
    """Return the policy of what has failed once already."""
    return replace(policy, retries=max(0, policy.retries - 1))


class Window:
    """What is begun behind a cursor, and what of that is done: from it the cursor follows."""

    def __init__(self, cursor: Cursor) -> None:
        self._low = self.next = cursor.offset
        self._done = set(done_offsets(cursor))
        self._begun: deque[int] = deque()

    @property
    def room(self) -> int:
        """How many more events may be begun."""
        begun = len(self._begun) - len(self._done)
        return 0 if self.next - self._low >= WIDEST else MOST_OPEN - begun

    def is_done(self, offset: int) -> bool:
        """Whether an event was done before, although the cursor is not there yet."""
        return offset in self._done

    def begin(self, offset: int) -> None:
        """The entry at `offset` was read, and all before it."""
        self._begun.append(offset)
        self.next = offset

    def end(self, offset: int) -> None:
        """It is done: it was handled, or has become a job, or is not wanted."""
        self._done.add(offset)
        while self._begun and self._begun[0] in self._done:
            self._low = self._begun.popleft()
            self._done.discard(self._low)

    def skip(self, upto: int) -> None:
        """Nothing up to there can be read any more."""
        for offset in [each for each in self._begun if each <= upto]:
            self.end(offset)
        if not self._begun:
            self._low = max(self._low, upto)
        self.next = max(self.next, upto)

    def moved(self, cursor: Cursor) -> Cursor:
        """Return the cursor where it belongs now."""
        return replace(cursor, offset=self._low, done=bits(self._low, self._done))


def bits(low: int, offsets: Iterable[int]) -> bytes:
    """Write offsets behind `low` as a bit each."""
    number = 0
    for offset in offsets:
        number |= 1 << (offset - low - 1)
    return number.to_bytes((number.bit_length() + 7) // 8, "little")


def done_offsets(cursor: Cursor) -> list[int]:
    """Return the offsets behind the cursor that are done."""
    number = int.from_bytes(cursor.done, "little")
    return [cursor.offset + 1 + at for at in range(number.bit_length()) if number >> at & 1]
