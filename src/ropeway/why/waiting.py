"""What may be in the way of one job that waits, each from the facts alone."""

from __future__ import annotations

import difflib
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from ropeway.control import WorkerRecord
from ropeway.message import JobRecord
from ropeway.resources import fits, in_words, split
from ropeway.states import State
from ropeway.why.facts import COUNTED, Facts, Use
from ropeway.why.obstacle import Obstacle, Reason
from ropeway.why.queues import consuming, in_the_way
from ropeway.words import date, duration, often, relative

MOMENT = 2.0
"""Seconds that a job may be due before somebody asks why."""

_NOT_KNOWN = {"UnknownTask", "UnknownVersion"}


def obstacles(facts: Facts) -> Iterator[Obstacle]:
    """Yield all that is in the way of a job that waits, what has to go first before the others."""
    queue, workers = facts.job.message.queue, facts.workers
    yield from _later(facts)
    yield from in_the_way(queue, facts.pause, workers, facts.now)
    there = consuming(workers, queue)
    yield from _unknown(facts, there)
    yield from _key(facts)
    for use in facts.limits:
        yield from _limit(facts, use)
    able = [worker for worker in there if facts.job.message.task in worker.tasks]
    if facts.job.due <= facts.now:
        yield from _in_use(facts, able)
        yield from _busy(facts, able)
        yield from _behind(facts)


def _later(facts: Facts) -> Iterator[Obstacle]:
    job = facts.job
    if job.due <= facts.now:
        return
    when = f"{relative(facts.now - job.due)}, at {date(job.due)}"
    again = f"attempt {job.attempt + 1} is due {when}"
    error = _error(job)
    if job.unknown and job.error is not None and job.error.type in _NOT_KNOWN:
        says = f"a worker gave it back: {error}; {again}"
        yield Obstacle(reason="given_back", says=says, command="ropeway workers ls", until=job.due)
    elif job.failures and job.failures == job.attempt:
        says = f"attempt {job.attempt} failed{f' ({error})' if error else ''}; {again}"
        yield Obstacle(reason="retrying", says=says, until=job.due)
    elif past := _past(job):
        reason: Reason = "retrying" if job.failures else "given_back"
        yield Obstacle(reason=reason, says=f"it {past}; {again}", until=job.due)
    else:
        yield Obstacle(reason="later", says=f"it is due {when}", until=job.due)


def _past(job: JobRecord) -> str:
    """Tell from its counters what has become of it; which of them was last is not on record."""
    error = _error(job)
    counted = {
        f"has failed {{}}{f' (last: {error})' if error else ''}": job.failures,
        "was lost with its process {}": job.losses,
        "was given back {}": job.releases,
    }
    told = [how.format("once" if n == 1 else f"{n} times") for how, n in counted.items() if n]
    return " and ".join(told)


def _error(job: JobRecord) -> str:
    if job.error is None:
        return ""
    first = job.error.message.strip().partition("\n")[0]
    return f"{job.error.type}: {first}" if first else job.error.type


def _unknown(facts: Facts, there: Sequence[WorkerRecord]) -> Iterator[Obstacle]:
    task = facts.job.message.task
    if not there or any(task in worker.tasks for worker in there):
        return
    known = {name for worker in there for name in worker.tasks}
    close = difflib.get_close_matches(task, known, 1, 0.6)
    codes = Counter(worker.code for worker in there if worker.code)
    who = "its only worker on record" if len(there) == 1 else f"none of its {len(there)} workers"
    told = f"{who} {'does not know' if len(there) == 1 else 'knows'} task {task}"
    if close:
        told += f"; the closest name is {close[0]}"
    if codes:
        told += f" (code {', '.join(code for code, _ in codes.most_common(3))})"
    yield Obstacle(reason="unknown_task", says=told, command="ropeway workers ls")


def _key(facts: Facts) -> Iterator[Obstacle]:
    first = facts.first
    if first is None:
        return
    other, key = first.message.id, facts.job.message.key
    state = "retrying" if first.state is State.QUEUED and first.failures else first.state
    due = f", due {relative(facts.now - first.due)}" if first.due > facts.now else ""
    by = f" on {first.holder}" if first.state is State.RUNNING and first.holder else ""
    says = f"key {key!r} is held by job {other}, which is {state}{due}{by}"
    yield Obstacle(reason="key", says=says, command=f"ropeway jobs show {other}", job=other)


def _limit(facts: Facts, use: Use) -> Iterator[Obstacle]:
    limit, command = use.limit, f"ropeway limits show {shlex.quote(use.limit.name)}"
    if limit.in_flight is not None and use.running >= limit.in_flight:
        says = f"limit {limit.name} is used up: {use.running} run, of {limit.in_flight} at once"
        yield Obstacle(reason="limit", says=says, command=command)
    elif limit.rate is not None and facts.now - facts.job.due > MOMENT:
        says = f"limit {limit.name} lets {often(limit.rate)} start, so it may wait for its turn"
        yield Obstacle(reason="limit", says=says, command=command)


def _in_use(facts: Facts, able: Sequence[WorkerRecord]) -> Iterator[Obstacle]:
    _, needs = split(facts.job.message.queue)
    left = [
        {name: n - facts.used.get(each.holder, {}).get(name, 0) for name, n in each.offers.items()}
        for each in able
    ]
    if not needs or not left or any(fits(needs, each) for each in left):
        return
    names = {name for name, _ in needs}
    told = ", ".join(
        f"{each.holder} has {max(0, there[name])} of {each.offers[name]} {name} free"
        for each, there in zip(able, left, strict=True)
        for name in sorted(names)
    )
    says = f"it needs {in_words(needs)}, and {told}"
    yield Obstacle(reason="in_use", says=says, command="ropeway jobs ls state:running")


def _busy(facts: Facts, able: Sequence[WorkerRecord]) -> Iterator[Obstacle]:
    kind = facts.job.message.kind
    having = [worker for worker in able if worker.slots.get(kind)]
    if not having or any(worker.busy.get(kind, 0) < worker.slots[kind] for worker in having):
        return
    slots = sum(worker.slots[kind] for worker in having)
    heard = facts.now - max(worker.heard for worker in having)
    workers = "the only worker" if len(having) == 1 else f"{len(having)} workers"
    told = f"all {slots} slots" if slots > 1 else "the only slot"
    verb = "were" if slots > 1 else "was"
    says = f"{told} ({kind}) of {workers} that can run it {verb} taken {duration(heard)} ago"
    yield Obstacle(
        reason="busy",
        says=says,
        command="ropeway jobs ls state:running",
    )


def _behind(facts: Facts) -> Iterator[Obstacle]:
    line = facts.line  # about, for keys take turns, and what waits for a limit is among them
    if line is None or not line.ahead:
        return
    others = "other goes" if line.ahead == 1 else "others go"
    queue = facts.job.message.queue
    says = f"about {line.ahead:,} {others} first in queue {queue}"
    if not line.whole:
        due = f"{line.due:,}{' or more' if line.due >= COUNTED else ''} that are due"
        says = f"about {line.ahead:,} or more go first in queue {queue}, of {due}"
    until = None
    if line.rate:
        left = line.ahead / line.rate
        more = "" if line.whole else " or more"
        says += f"; at {line.rate:.3g} a second, as lately, that is {duration(left)}{more}"
        until = facts.now + left if line.whole else None
    command = f"ropeway queues peek {shlex.quote(queue)}"
    yield Obstacle(reason="behind", says=says, command=command, until=until)
