"""The answer: what keeps a job from running, or how it is that it runs or has ended."""

from __future__ import annotations

from ropeway.control import WorkerRecord
from ropeway.matching import ran
from ropeway.states import State
from ropeway.why.facts import Facts
from ropeway.why.obstacle import Obstacle
from ropeway.why.queues import LATE, consuming
from ropeway.why.waiting import MOMENT, obstacles
from ropeway.words import duration


class Why(Obstacle, frozen=True, kw_only=True):
    """Why a job is not running: what has to go first, and `besides` what else is in its way."""

    besides: tuple[Obstacle, ...] = ()


def why(facts: Facts) -> Why:
    """Say why a job is not running, or that it runs, or how it has ended."""
    if facts.job.state.final:
        found = [_ended(facts)]
    elif facts.job.state is State.RUNNING:
        found = [_running(facts)]
    else:
        found = [*obstacles(facts)] or [_nothing(facts)]
    first, *others = found
    return Why(
        reason=first.reason,
        says=first.says,
        command=first.command,
        job=first.job,
        until=first.until,
        besides=tuple(others),
    )


def _ended(facts: Facts) -> Obstacle:
    job = facts.job
    shown = f"ropeway jobs retry {job.message.id}"
    match job.state:
        case State.SUCCEEDED:
            says, command = f"in {duration(ran(job, facts.now))}, at attempt {job.attempt}", ""
        case State.FAILED:
            says = f"at attempt {job.attempt}; nothing runs it again by itself"
            command = shown
        case State.CANCELLED:
            says, command = "nothing runs it again", shown
        case State.EXPIRED:
            says, command = "its time was over before it could run", shown
        case _:
            says = "kept aside, whole, for a person to look at; nothing runs it by itself"
            command = f"ropeway quarantine show {job.message.id}"
    return Obstacle(reason="ended", says=says, command=command)


def _running(facts: Facts) -> Obstacle:
    job, holder = facts.job, facts.job.holder or "a worker"
    there = next((worker for worker in facts.workers if worker.holder == job.holder), None)
    took = duration(ran(job, facts.now))
    told = f"attempt {job.attempt}, for {took} now, by {holder}"
    if (lost := _lost(facts, there, told)) is not None:
        return lost
    stack = f"ropeway workers stack {holder}" if there else ""
    if job.cancelling:
        says = f"{told}; it was asked to stop and has not done so yet"
        return Obstacle(reason="cancelling", says=says, command=stack)
    if not facts.began_alone:
        says = f"{holder} has it, and it waits there for a process of its own"
        return Obstacle(reason="alone", says=says, command=stack)
    return Obstacle(reason="running", says=told, command=stack)


def _lost(facts: Facts, there: WorkerRecord | None, told: str) -> Obstacle | None:
    """Return what is amiss with who runs a job, if anything is."""
    then = "unless it runs on, the next worker takes it over when its lease ends"
    if there is None:
        # One inside another program (`app.worker()`) keeps no record, so this proves nothing.
        says = f"{told}, of which there is no record; {then}"
        return Obstacle(reason="lost", says=says, command="ropeway workers ls")
    silent = facts.now - there.heard
    if silent <= LATE:
        return None
    says = f"{told}, which has not been heard of for {duration(silent)}; {then}"
    return Obstacle(reason="silent", says=says, command="ropeway workers ls")


def _nothing(facts: Facts) -> Obstacle:
    age = facts.now - facts.job.due
    if age <= MOMENT:
        says = f"it has been due for {duration(age)}: a worker is about to take it"
        return Obstacle(reason="soon", says=says)
    workers = len(consuming(facts.workers, facts.job.message.queue))
    whose = "1 worker that listens" if workers == 1 else f"{workers} workers that listen"
    says = f"it has been due for {duration(age)}, with {whose}, and nothing on record holds it up"
    return Obstacle(reason="unexplained", says=says, command="ropeway workers ls")
