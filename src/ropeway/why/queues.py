"""What may be in the way of all jobs of a queue: a pause, and what its workers are doing."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ropeway.claims import serves
from ropeway.control import HEARTBEAT, WorkerRecord
from ropeway.pauses import Pause, in_words
from ropeway.resources import fits, split
from ropeway.resources import in_words as needed
from ropeway.why.obstacle import Obstacle
from ropeway.words import duration

LATE = HEARTBEAT * 1.5
"""Seconds without a word after which a worker may be dead."""


def listening(workers: Iterable[WorkerRecord], queue: str) -> list[WorkerRecord]:
    """Return the workers that are to serve a queue, whether they offer what its jobs need or not."""
    base, _ = split(queue)
    return [worker for worker in workers if serves(worker.queues, base)]


def serving(workers: Iterable[WorkerRecord], queue: str) -> list[WorkerRecord]:
    """Return the workers that look into a queue, whether they claim anything now or not."""
    _, needs = split(queue)
    return [worker for worker in listening(workers, queue) if fits(needs, worker.offers)]


def consuming(workers: Iterable[WorkerRecord], queue: str) -> list[WorkerRecord]:
    """Return the workers that claim from a queue, if it is not paused."""
    return [worker for worker in serving(workers, queue) if worker.state == "consuming"]


def in_the_way(
    queue: str, pause: Pause | None, workers: Sequence[WorkerRecord], now: float
) -> Iterator[Obstacle]:
    """Yield why nothing at all is claimed from a queue, the surest first."""
    if pause is not None:
        says = f"queue {pause.queue} is paused {in_words(pause, now)}"
        command = f"ropeway queues resume {shlex.quote(pause.queue)}"
        yield Obstacle(reason="paused", says=says, command=command)
    there = serving(workers, queue)
    if not there:
        yield _nobody(queue, bool(listening(workers, queue)))
    elif not consuming(there, queue):
        yield Obstacle(reason="resting", says=_resting(there, queue), command=_seen(there))
    elif all(now - worker.heard > LATE for worker in consuming(there, queue)):
        last = now - max(worker.heard for worker in consuming(there, queue))
        says = f"the workers of queue {queue} have not been heard of for {duration(last)}"
        yield Obstacle(reason="silent", says=says, command="ropeway workers ls")


def _nobody(queue: str, listened: bool) -> Obstacle:
    base, needs = split(queue)
    offers = "".join(f" --offer {name}={amount}" for name, amount in needs)
    command = f"ropeway worker -Q {shlex.quote(base)}{offers}"
    if not listened:
        says = f"no worker on record listens to queue {base}"
        return Obstacle(reason="no_worker", says=says, command=command)
    says = f"it needs {needed(needs)}, which no worker of queue {base} offers"
    return Obstacle(reason="not_offered", says=says, command=command)


def _resting(there: Sequence[WorkerRecord], queue: str) -> str:
    if len(there) == 1:
        (worker,) = there
        told = f" ({worker.why})" if worker.why else ""
        return (
            f"the only worker on record of queue {queue}, {worker.holder}, is {worker.state}{told}"
        )
    states = Counter(worker.state for worker in there)
    told = ", ".join(f"{number} {state}" for state, number in states.most_common())
    whys = [worker.why for worker in there if worker.why]
    return f"no worker of queue {queue} claims anything: {told}" + (f" ({whys[0]})" if whys else "")


def _seen(there: Sequence[WorkerRecord]) -> str:
    quiet = [worker for worker in there if worker.state == "quiet"]
    return f"ropeway workers resume {quiet[0].holder}" if quiet else "ropeway workers ls"
