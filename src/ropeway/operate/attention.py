"""What a person should look at, in sentences with a command each; decided from facts alone."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from msgspec import Struct

from ropeway.broker import QueueStats
from ropeway.operate import worker as workers
from ropeway.operate.facts import Facts
from ropeway.pauses import holding
from ropeway.store import Cause
from ropeway.why.queues import consuming, in_the_way
from ropeway.words import duration, several

LONG = 60.0
"""Seconds that a job may wait while workers serve its queue."""

_A_MOMENT = 2.0
_MOST_CAUSES = 3


class Remark(Struct, frozen=True):
    """A sentence, and what to type to see more or to mend it."""

    says: str
    command: str


def remarks(facts: Facts) -> list[Remark]:
    """Return what needs attention, the most pressing first."""
    return [*_queues(facts), *_workers(facts), *_failures(facts)]


def _queues(facts: Facts) -> Iterator[Remark]:
    for stats in facts.queues:
        age = 0.0 if stats.oldest_due is None else facts.now - stats.oldest_due
        if not stats.ready or age < _A_MOMENT:
            continue
        name = shlex.quote(stats.queue)
        waiting = f"queue {stats.queue}: {_many(stats, facts.cap)} for {duration(age)}"
        pause = holding(facts.pauses, stats.queue)
        found = next(in_the_way(stats.queue, pause, facts.workers, facts.now), None)
        if found is not None:
            yield Remark(f"{waiting}; {found.says}", found.command)
        elif age > LONG:
            serving = consuming(facts.workers, stats.queue)
            busy = sum(sum(worker.busy.values()) for worker in serving)
            slots = sum(sum(worker.slots.values()) for worker in serving)
            says = f"{waiting}; {busy} of {slots} slots of its workers are busy"
            yield Remark(says, f"ropeway queues peek {name}")


def _many(stats: QueueStats, cap: int) -> str:
    plus = "+" if stats.ready >= cap else ""
    return f"{stats.ready:,}{plus} {'job waits' if stats.ready == 1 else 'jobs wait'}"


def _workers(facts: Facts) -> Iterator[Remark]:
    for says in workers.remarks(facts.workers, facts.now):
        yield Remark(says, "ropeway workers ls")


def _failures(facts: Facts) -> Iterator[Remark]:
    for cause in facts.failed[:_MOST_CAUSES]:
        yield Remark(_of(cause, "failed of those sent in the last hour"), _search(cause))
    for cause in facts.quarantined[:_MOST_CAUSES]:
        yield Remark(_of(cause, "in quarantine"), _search(cause))


def _of(cause: Cause, how: str) -> str:
    jobs = several(cause.number, more=not cause.whole)
    error = cause.newest.error
    told = f": {error.type}: {error.message}".partition("\n")[0] if error else ""
    return f"{jobs} of {cause.newest.message.task} {how}{told}"


def _search(cause: Cause) -> str:
    error = cause.newest.error
    if error is None or not error.fingerprint:
        return f"ropeway jobs show {cause.newest.message.id}"
    return f"ropeway jobs ls state:{cause.newest.state} error:{error.fingerprint}"
