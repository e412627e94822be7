"""Beginning a run again: what failed, or a node of one's choice, and all that follows from it.

It gets joins of its own, of another turn, for the old ones have fired; what had succeeded outside
of it is not run again. Who dies in the middle leaves a run that is over, and can be retried.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ropeway.errors import BadWorkflow, Refused
from ropeway.graph import (
    END,
    HELPER,
    RUNS,
    TIMER,
    Need,
    cursor_key,
    descendants,
    lost_key,
    node_id,
    signal_key,
)
from ropeway.jobs import Seen, removal, seen
from ropeway.message import Message, job_key
from ropeway.runs.changes import sent_items
from ropeway.runs.commits import chunks, commit_all, publishing
from ropeway.runs.feeding import PAGE, Reader
from ropeway.runs.records import Plan, RunRecord, Spec, graph_of, run_put, see
from ropeway.states import State
from ropeway.store import Backend
from ropeway.transition import Drop, Transition

_LOOK, _LOOKS = 0.1, 100
"""Seconds between two looks at a job that is about to end, and how many there are at most."""


async def retry(store: Backend, run_id: str, from_node: str | None) -> None:
    """Run again what failed, and what follows; raises `Refused`, and `BadWorkflow` for no node."""
    run, version = await see(store, run_id)
    if run.state in {"running", "paused"}:
        raise Refused(f"run {run_id} is {run.state}", hint="wait for its end, or cancel it first")
    await _let_it_end(store, run)
    specs = await graph_of(store, run)
    starts = [_number(specs, from_node)] if from_node is not None else []
    bad = await _not_done(store, run, specs)
    whole = Plan(run, specs)
    which = descendants([*starts, *bad], whole.after) - {END}
    if not which:
        raise Refused(f"nothing of run {run_id} failed", hint="name a node: retry(from_node=...)")
    again = replace(run, turn=run.turn + 1, which=tuple(sorted(which)), pauses=0, finished=None)
    # First the number of the turn is taken, so that no two share joins.
    version = await _write(store, replace(run, turn=again.turn), version)
    below = descendants([n for node in {*starts, *bad} for n in whole.after[node]], whole.after)
    maps = {n for n in bad if specs[n - 1].shape == "map" and n not in {*starts, *below}}
    partly = {node: found for node in maps if (found := await _failed_items(store, run, node))}
    await _clear(store, run, specs, which, partly)
    plan = Plan(again, specs, partly)
    await commit_all(store, [Transition(join=part) for part in chunks(plan.joins())])
    await _write(store, replace(again, state="running"), version)
    await commit_all(store, publishing(plan.roots()))


async def _let_it_end(store: Backend, run: RunRecord) -> None:
    """Wait for the job that has just written how the run ended."""
    key = job_key(node_id(run.id, END))
    for _ in range(_LOOKS):
        (record,) = await store.get([key])
        if record is None or seen(record).record.state.final:
            return
        await store.wait([key], _LOOK)


async def _write(store: Backend, run: RunRecord, version: int) -> int:
    put = run_put(run)
    (answer,) = await store.commit([Transition(expect={RUNS + run.id: version}, put=(put,))])
    if not answer.ok:
        raise Refused(f"run {run.id} has changed meanwhile", hint="look again, and then decide")
    return answer.versions[put.key]


async def _not_done(store: Backend, run: RunRecord, specs: Sequence[Spec]) -> list[int]:
    """Return the nodes that failed, were cancelled, or never began; not those that were left out."""
    reader = Reader(store, run.id)
    numbers = range(1, len(specs) + 1)
    jobs = await reader.jobs([(number, 0) for number in numbers])
    found: list[int] = []
    for number, job in zip(numbers, jobs, strict=True):
        if job is not None and not job.state.final:
            raise Refused(
                f"node {specs[number - 1].name} is still {job.state}",
                hint="wait until it has ended",
            )
        if job is None or (await reader.standing(Need(number), job)).status == "failed":
            found.append(number)
    return found


async def _failed_items(store: Backend, run: RunRecord, node: int) -> list[Message]:
    """Return the messages of the items of a map that failed.

    Nothing if all of the map has to be made again: not all were sent, or one is not what was sent.
    """
    (expanded,) = await Reader(store, run.id).jobs([(node, HELPER)])
    if expanded is None or expanded.state is not State.SUCCEEDED:
        return []
    items = range(1, await sent_items(store, run, node) + 1)
    kept = await _look(store, [node_id(run.id, node, item) for item in items])
    jobs = [each.record for each in kept]
    if any(job.error is not None and job.error.type == "bad_signature" for job in jobs):
        return []
    return [job.message for job in jobs if job.state is not State.SUCCEEDED]


async def _clear(
    store: Backend,
    run: RunRecord,
    specs: Sequence[Spec],
    which: set[int],
    partly: dict[int, list[Message]],
) -> None:
    """Forget the jobs that are to run again, and what was noted of them; the end's too."""
    ids, keys = [node_id(run.id, END)], list[str]()
    for node in sorted(which):
        ids.append(node_id(run.id, node))
        spec = specs[node - 1]
        if node in partly:
            ids += [each.id for each in partly[node]]
        elif spec.shape == "map":
            items = await sent_items(store, run, node)
            ids += [node_id(run.id, node, item + 1) for item in range(items)]
            ids.append(node_id(run.id, node, HELPER))
            keys.append(cursor_key(ids[-1]))
        elif spec.shape == "signal":
            ids += [node_id(run.id, node, item) for item in (HELPER, TIMER)]
            keys.append(signal_key(run.id, spec.signal))
    keys += [lost_key(run.id, job_id[24:]) for job_id in ids]
    transitions: list[Transition] = []
    for each in await _look(store, ids):
        if not each.record.state.final and each.record.message.task == "ropeway.opened":
            continue
        if not each.record.state.final:
            raise Refused(
                f"job {each.record.message.id} of run {run.id} is {each.record.state}",
                hint="wait until it has ended",
            )
        transitions.append(removal(each))
    transitions += [Transition(drop=(Drop(key),)) for key in keys]
    for first in range(0, len(transitions), PAGE):
        await store.commit(transitions[first : first + PAGE])


async def _look(store: Backend, ids: Sequence[str]) -> list[Seen]:
    found: list[Seen] = []
    for first in range(0, len(ids), PAGE):
        records = await store.get([job_key(each) for each in ids[first : first + PAGE]])
        found += [seen(record) for record in records if record is not None]
    return found


def _number(specs: Sequence[Spec], name: str) -> int:
    for number, spec in enumerate(specs, 1):
        if spec.name == name:
            return number
    names = ", ".join(spec.name for spec in specs[:20])
    raise BadWorkflow(f"the run has no node {name!r}", hint=f"there are: {names}")
