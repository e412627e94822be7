"""Measuring a place with jobs in a queue of its own, of which nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from msgspec import Struct

from ropeway.bulk import change, removing
from ropeway.claims import MAX_BATCH, Claim
from ropeway.errors import Refused
from ropeway.ids import new_id
from ropeway.message import Delivery, Message, job_key
from ropeway.operate.operator import Operator
from ropeway.operate.performance import SHARES
from ropeway.pauses import LOOK_EVERY
from ropeway.states import FINAL, State
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.transition import Answer, Finish, Transition

_EXPIRES = 3_600.0
_LEASE = 60.0


class Measured(Struct, frozen=True, kw_only=True):
    """How often something was done, how often a second, and how long each took, by shares."""

    what: str
    jobs: int
    rate: float
    times: tuple[float, ...]


class Place:
    """A place that is measured: a queue that nobody else claims from, and the jobs sent to it."""

    def __init__(self, backend: Backend, body: int) -> None:
        self.queue = f"ropeway-bench-{new_id()}"
        self._backend = backend
        self._body = b'"' + b"x" * max(0, body - 2) + b'"'
        self._sent: list[str] = []
        self._held: list[Delivery] = []

    def enqueue(self, jobs: int) -> Iterator[Measured]:
        """Send jobs one after the other, and then as many in batches."""
        yield self._each("send, one at a time", [[self._message()] for _ in range(jobs)])
        messages = [self._message() for _ in range(jobs)]
        batches = [messages[at : at + MAX_BATCH] for at in range(0, jobs, MAX_BATCH)]
        yield self._each(f"send, {min(jobs, MAX_BATCH)} at a time", batches)

    def roundtrip(self, jobs: int) -> Measured:
        """Send a job, claim it, settle it and read its record, one job after the other."""
        return _timed("send, claim, settle, read", jobs, [self._one_round] * jobs)

    def _each(self, what: str, batches: Sequence[Sequence[Message]]) -> Measured:
        jobs = sum(map(len, batches))
        return _timed(what, jobs, [partial(self._send, batch) for batch in batches])

    def _send(self, messages: Sequence[Message]) -> None:
        self._sent += [each.id for each in messages]
        answers = step(self._backend.commit([Transition(publish=(each,)) for each in messages]))
        if not all(answer.ok for answer in answers):
            raise Refused("the place has refused a job that was sent to it")

    def _one_round(self) -> None:
        message = self._message()
        self._send([message])
        claim = Claim(queue=self.queue, n=1)
        self._held = step(self._backend.receive([claim], self.queue, _LEASE))
        if [each.message.id for each in self._held] != [message.id]:
            raise Refused(f"somebody else claims from {self.queue}", hint="try it again")
        (answer,) = self._settle()
        (record,) = step(self._backend.get([job_key(message.id)]))
        if not answer.ok or record is None:
            raise Refused("a job that was claimed could not be settled")

    def _settle(self) -> list[Answer]:
        end = Finish(State.SUCCEEDED, value=b"null")
        held, self._held = self._held, []
        return step(
            self._backend.commit([Transition(fence=each.fence, settle=end) for each in held])
        )

    def _message(self) -> Message:
        now = time.time()
        return Message(
            id=new_id(), task="bench", body=self._body, queue=self.queue, expires=now + _EXPIRES
        )

    def clean(self, operator: Operator) -> int:
        """Remove every job that was sent; returns how many are left."""
        self._settle()  # what is in our hands after an interrupt
        step(operator.purge(self.queue))
        done = step(change(self._backend, self._sent, removing(frozenset(FINAL))))
        gone = done.done + done.skipped.get("it is not kept any more", 0)
        return done.found - gone


@contextmanager
def measuring(backend: Backend, operator: Operator, body: int) -> Iterator[Place]:
    """Give a place to measure; whatever happens, nothing is left of its jobs.

    Its queue is paused, so that no worker that serves every queue claims from it.
    """
    place = Place(backend, body)
    step(operator.pause(place.queue, "ropeway bench"))
    try:
        time.sleep(2 * LOOK_EVERY)  # until every worker has looked
        yield place
    finally:
        if left := place.clean(operator):
            raise Refused(
                f"{left} jobs of {place.queue} could not be removed, so it stays paused",
                hint=f"ropeway queues purge {place.queue}, and then resume it",
            )
        step(operator.resume(place.queue))


def _timed(what: str, jobs: int, deeds: Sequence[Callable[[], None]]) -> Measured:
    times = []
    begun = time.perf_counter()
    for deed in deeds:
        before = time.perf_counter()
        deed()
        times.append(time.perf_counter() - before)
    took = time.perf_counter() - begun
    return Measured(what=what, jobs=jobs, rate=jobs / took, times=shares_of(times))


def shares_of(times: Sequence[float]) -> tuple[float, ...]:
    """Return the times below which 50, 95 and 99 % of them are."""
    sorted_ = sorted(times)
    return tuple(sorted_[min(len(sorted_) - 1, int(share * len(sorted_)))] for share in SHARES)
