"""Faults by name, each to happen to what it is meant for and a given number of times."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, get_args

from ropeway.errors import BackendUnavailable, Backpressure, Indeterminate, RopewayError
from ropeway.message import Delivery, Failure, Message, Outcome
from ropeway.store import Backend
from ropeway.transition import Answer, Transition
from ropeway.wrappers.delegate import Delegate

AttemptFault = Literal["killed", "killed_after", "timed_out", "lease_lost", "machine_lost"]
"""killed: the process dies at the task's first line. killed_after: it dies when the task is done,
before anybody hears of that. timed_out: the time limit ends it. lease_lost: its worker is frozen
while it runs, and another runs it too. machine_lost: nothing is heard of it again."""

StoreFault = Literal["unavailable", "full", "request_lost", "reply_lost", "repeated"]
"""unavailable: the store cannot be reached. full: it takes no messages. request_lost: nothing is
done, and nobody knows. reply_lost: it is done, and nobody knows. repeated: it is asked twice."""

Fault = Literal[AttemptFault, StoreFault]

_OF_ATTEMPTS: tuple[str, ...] = get_args(AttemptFault)
_OF_THE_STORE: tuple[str, ...] = get_args(StoreFault)

_CRASHED = Outcome(
    ending="crashed",
    error=Failure(type="WorkerLost", message="the child process was killed, as the test wanted"),
)
_TIMED_OUT = Outcome(
    ending="timed_out",
    error=Failure(
        type="TimeLimit", message="the task ran longer than its timeout, as the test wanted"
    ),
)
_INSTEAD = {"killed": _CRASHED, "killed_after": _CRASHED, "timed_out": _TIMED_OUT}


class Script:
    """The faults that are still to happen. Those for a task or a job pass over all others."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[tuple[str, str | None]]] = {
            "attempt": deque(),
            "store": deque(),
        }

    def add(self, fault: str, into: str | None, times: int) -> None:
        """Have a fault happen `times` times, to a task by its name, a job by its id, or whatever."""
        if fault not in _OF_ATTEMPTS + _OF_THE_STORE:
            known = ", ".join(_OF_ATTEMPTS + _OF_THE_STORE)
            raise RopewayError(f"there is no fault {fault!r}", hint=f"there are: {known}")
        kind = "attempt" if fault in _OF_ATTEMPTS else "store"
        self._waiting[kind].extend([(fault, into)] * times)

    def for_attempt(self, delivery: Delivery) -> str | None:
        """Take out the fault that this attempt is to meet."""
        return self._take("attempt", {delivery.message.task, delivery.message.id})

    def for_commit(self, names: set[str]) -> str | None:
        """Take out the fault that a commit is to meet which is about these tasks and jobs."""
        return self._take("store", names)

    def left(self) -> list[str]:
        """Return the faults that have not happened."""
        return [fault for waiting in self._waiting.values() for fault, _ in waiting]

    def _take(self, kind: str, names: set[str]) -> str | None:
        waiting = self._waiting[kind]
        for item in waiting:
            if item[1] is None or item[1] in names:
                waiting.remove(item)
                return item[0]
        return None


def instead_of(fault: str, outcome: Outcome) -> Outcome:
    """Return what a worker sees of an attempt that ended so and met this fault."""
    return _INSTEAD.get(fault, outcome)


def runs(fault: str | None) -> bool:
    """Whether the task's own code runs in an attempt that meets this fault."""
    return fault in {None, "killed_after", "lease_lost"}


class Scripted(Delegate):
    """A backend whose commits meet the faults of a script; `stirred` hears of each."""

    def __init__(self, inner: Backend, script: Script, stirred: Callable[[], None]) -> None:
        super().__init__(inner)
        self._script, self._stirred = script, stirred
        self._tasks: dict[str, str] = {}

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        fault = self._script.for_commit(set(self._about(transitions)))
        what = "as the test wanted"
        if fault == "unavailable":
            raise BackendUnavailable(f"the store cannot be reached, {what}")
        if fault == "full":
            raise Backpressure(f"the store takes no messages, {what}")
        if fault == "request_lost":
            raise Indeterminate(f"the store did not answer, {what}: nothing was done")
        answers = await self.inner.commit(transitions)
        self._stirred()
        if fault == "repeated":
            return await self.inner.commit(transitions)
        if fault == "reply_lost":
            raise Indeterminate(f"the store did not answer, {what}: it was done")
        return answers

    def _about(self, transitions: Sequence[Transition]) -> Iterator[str]:
        for transition in transitions:
            for message in transition.publish:
                yield from self._named(message)
            if transition.fence is not None:
                yield transition.fence.id
                yield self._tasks.get(transition.fence.id, "")

    def _named(self, message: Message) -> tuple[str, str]:
        self._tasks[message.id] = message.task
        return message.id, message.task
