"""What a person does to a run: pause it, resume it, cancel it, tell it something.

A node that has not begun is held by its join: a need that is raised is not met any more, whoever
arrives meanwhile. One that has begun has a job. Each node is one of the two at any time, and
whether it is held first or begins first, it is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from ropeway.codecs import JSON
from ropeway.errors import BadArguments, Refused
from ropeway.graph import HELPER, RUNS, TIMER, cursor_key, join_name, node_id, signal_key
from ropeway.ids import derived_id
from ropeway.message import JobRecord, job_key
from ropeway.runs.feeding import PAGE, run_in_place
from ropeway.runs.records import Plan, RunRecord, RunState, Spec, graph_of, run_put, see
from ropeway.states import State
from ropeway.store import Backend
from ropeway.transition import Arrive, Cancel, Join, Put, Transition, Update

NEVER = 1 << 30
"""A need that no node can meet."""

_ASIDE = 315_360_000.0
"""Seconds by which what is paused is put off; a due time that is further ahead than half is held."""

_decode_job = msgspec.msgpack.Decoder(JobRecord).decode


async def cancel(store: Backend, run_id: str, keep: float) -> Literal["cancelled", "ended"]:
    """Cancel a run, with all that waits, all that runs, and the runs that it has begun."""
    run = await _changed(store, run_id, {"running", "paused"}, "cancelled")
    if run is None:
        return "ended"
    specs = await graph_of(store, run)
    plan = Plan(run, specs)
    held = [Join(join.name, NEVER) for join in plan.joins()]
    await _commit(store, [Transition(join=(join,)) for join in held])
    ids = [job_id async for job_id in _jobs(store, run, specs)]
    # What waits goes before what runs, whose places it would take.
    await _commit(store, [Transition(cancel=(Cancel(each, keep),)) for each in reversed(ids)])
    async for job in _kept(store, ids):
        inner = run_in_place(job.value)
        if job.state is State.RUNNING and job.message.terms and job.message.terms.node:
            # It may still end with a run in its place.
            inner = inner_run_id(job.message.id, job.attempt, job.message.terms.node.next)
            await _commit(store, [Transition(join=(Join(start_name(inner), NEVER),))])
        elif inner is not None:
            await cancel(store, inner, keep)
    return "cancelled"


def inner_run_id(job_id: str, attempt: int, after: Sequence[str]) -> str:
    """Return the id of the run that an attempt of a node begins, if it does."""
    made = derived_id(job_id, f"{attempt}/{','.join(after)}")
    return f"{made[:24]}{0:012x}"


def start_name(run_id: str) -> str:
    """Return the join by which the end of a node begins the run that takes its place."""
    return join_name(run_id, "start")


async def pause(store: Backend, run_id: str) -> bool:
    """Have nothing of a run begin any more; False if it is over or paused. What runs goes on."""
    run = await _changed(store, run_id, {"running"}, "paused")
    if run is None:
        return False
    specs = await graph_of(store, run)
    await _commit(store, [Transition(join=(join,)) for join in _raised(run, specs)])
    now, ids = await store.now(), [job_id async for job_id in _jobs(store, run, specs)]
    async for job in _kept(store, ids):
        if (inner := run_in_place(job.value)) is not None:
            await pause(store, inner)
        if job.state is State.QUEUED and job.due < now + _ASIDE / 2 and _is_work(job):
            await store.commit([Transition(update=(Update(job.message.id, job.due + _ASIDE),))])
    return True


async def resume(store: Backend, run_id: str) -> bool:
    """Have a paused run go on; False if it is not paused."""
    run, _ = await see(store, run_id)
    if run.state != "paused":
        return False
    specs = await graph_of(store, run)
    member = f"resumed-{run.pauses}"
    # Raised once more: whoever paused the run may have died before it had held all of them.
    held = [
        Transition(join=(join,), arrive=(Arrive(join.name, member),))
        for join in _raised(run, specs)
    ]
    await _commit(store, held)
    now, ids = await store.now(), [job_id async for job_id in _jobs(store, run, specs)]
    async for job in _kept(store, ids):
        if (inner := run_in_place(job.value)) is not None:
            await resume(store, inner)
        if job.state is State.QUEUED and job.due > now + _ASIDE / 2:
            await store.commit([Transition(update=(Update(job.message.id, job.due - _ASIDE),))])
    await _changed(store, run_id, {"paused"}, "running")
    return True


async def signal(store: Backend, run_id: str, name: str, value: Any) -> None:
    """Tell a run what one of its nodes waits for, once; raises `BadArguments` and `Refused`."""
    run, _ = await see(store, run_id)
    specs = await graph_of(store, run)
    numbers = [number for number, spec in enumerate(specs, 1) if name and spec.signal == name]
    if not numbers:
        known = ", ".join(spec.signal for spec in specs if spec.signal) or "none"
        raise BadArguments(f"run {run_id} waits for no signal {name!r}", hint=f"it knows: {known}")
    if run.state not in {"running", "paused"}:
        raise Refused(f"run {run_id} is {run.state}: nothing waits for the signal {name!r}")
    key = signal_key(run.id, name)
    put = Put(key, JSON.encode(value), ttl=run.keep + _ASIDE / 10)
    join = join_name(run.id, f"{run.turn}.{numbers[0]:x}s")
    transition = Transition(expect={key: 0}, put=(put,), arrive=(Arrive(join, "signal"),))
    (answer,) = await store.commit([transition])
    if not answer.ok:
        raise Refused(f"run {run_id} was given the signal {name!r} before: the first one counts")


def _raised(run: RunRecord, specs: Sequence[Spec]) -> Iterator[Join]:
    """Yield what holds the nodes that have not begun until one more has arrived."""
    plan = Plan(run, specs)
    for node in sorted(plan.which):
        if inside := plan.inside(node):
            yield Join(join_name(run.id, plan.local(node)), inside + run.pauses)


def _is_work(job: JobRecord) -> bool:
    """Whether a job is one of the user's, or sends such; others only pass on what has happened."""
    return not job.message.task.startswith("ropeway.") or job.message.task == "ropeway.expand"


async def _changed(
    store: Backend, run_id: str, before: Iterable[RunState], state: RunState
) -> RunRecord | None:
    """Write another state of a run, if it is in one of those; returns the new record."""
    while True:
        run, version = await see(store, run_id)
        if run.state not in before:
            return None
        finished = await store.now() if state == "cancelled" else None
        pauses = run.pauses + (state == "paused")
        new = replace(run, state=state, finished=finished, pauses=pauses)
        put = run_put(new, run.keep) if finished is not None else run_put(new)
        (answer,) = await store.commit([Transition(expect={RUNS + run_id: version}, put=(put,))])
        if answer.ok:
            return new


async def _jobs(store: Backend, run: RunRecord, specs: Sequence[Spec]) -> Any:
    """Yield the ids of all jobs that a run may have, items of maps too."""
    for number, spec in enumerate(specs, 1):
        yield node_id(run.id, number)
        if spec.shape == "call":
            continue
        yield node_id(run.id, number, HELPER)
        if spec.shape == "signal":
            yield node_id(run.id, number, TIMER)
            continue
        for item in range(await sent_items(store, run, number)):
            yield node_id(run.id, number, item + 1)


async def sent_items(store: Backend, run: RunRecord, node: int) -> int:
    """Return of how many items of a map there are jobs by now."""
    (cursor,) = await store.get([cursor_key(node_id(run.id, node, HELPER))])
    return 0 if cursor is None else int(cursor.value.split()[0])


async def _kept(store: Backend, ids: Sequence[str]) -> Any:
    """Yield what is kept of jobs, of those that are there."""
    for first in range(0, len(ids), PAGE):
        for record in await store.get([job_key(each) for each in ids[first : first + PAGE]]):
            if record is not None:
                yield _decode_job(record.value)


async def _commit(store: Backend, transitions: Sequence[Transition]) -> None:
    for first in range(0, len(transitions), PAGE):
        await store.commit(transitions[first : first + PAGE])
