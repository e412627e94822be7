"""Beginning a run: its graph and its joins are stored first, what begins at once comes last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway.capabilities import require
from ropeway.errors import Refused
from ropeway.graph import RUNS, run_id
from ropeway.ids import derived_id, new_id
from ropeway.message import Message
from ropeway.runs.commits import chunks, commit_all, publishing
from ropeway.runs.records import (
    CHUNK,
    Outer,
    Plan,
    RunRecord,
    Spec,
    graph_puts,
    run_put,
)
from ropeway.sending import Source
from ropeway.store import Backend
from ropeway.transition import Transition


class Built(Struct, frozen=True, kw_only=True):
    """A graph that has been checked, and what of it is the result of a run."""

    name: str
    specs: list[Spec]
    keep: float
    results: tuple[int, ...]
    listed: bool
    type: Any
    queue: str
    band: int


async def send_run(app: Source, built: Built) -> RunRecord:
    """Begin a run of a graph."""
    store = app.store
    require(store.capabilities, "store", "a workflow")
    now = await store.now()
    while True:
        run = _record(built, run_id(new_id()), now)
        roots = Plan(run, built.specs).roots()
        if await lay_run(store, run, built.specs, roots):
            return run


def _record(built: Built, run: str, now: float) -> RunRecord:
    return RunRecord(
        id=run,
        name=built.name,
        created=now,
        nodes=len(built.specs),
        keep=built.keep,
        queue=built.queue,
        band=built.band,
        results=built.results,
        listed=built.listed,
        root=run,
    )


def inner_run(built: Built, run: str, outer: Outer, root: str, now: float) -> RunRecord:
    """Return the record of a run that takes the place of a node of another one."""
    return replace(_record(built, run, now), outer=outer, root=root)


class Sketch(Struct, frozen=True, array_like=True):
    """A graph on its way to where a run of it is begun; the record has no id yet."""

    run: RunRecord
    specs: list[Spec]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Sketch).decode


def encode_sketch(built: Built) -> bytes:
    """Write a graph that is begun elsewhere, or later."""
    return _encode(Sketch(_record(built, "", 0.0), built.specs))


async def begin_sketched(app: Source, graph: bytes, job_id: str) -> str:
    """Begin the one run that a job begins, however often it is asked to; returns its id."""
    sketch, store = _decode(graph), app.store
    run_of_job = run_id(derived_id(job_id, "run"))
    run = replace(sketch.run, id=run_of_job, root=run_of_job, created=await store.now())
    roots = Plan(run, sketch.specs).roots()
    if not await lay_run(store, run, sketch.specs, roots):
        # An earlier attempt has begun with it, and may have died before the end.
        await _lay_rest(store, run, sketch.specs, roots)
    return run.id


async def lay_run(
    store: Backend, run: RunRecord, specs: Sequence[Spec], roots: Sequence[Message]
) -> bool:
    """Write a run and its graph, make its joins, and begin `roots`; False if the id is taken.

    A graph that one commit holds is all there or not at all. A larger one begins last: a sender
    that dies before that leaves what nobody runs.
    """
    first, *more = graph_puts(run, specs)
    joins = list(chunks(Plan(run, specs).joins()))
    small = not more and len(joins) == 1 and len(roots) <= CHUNK
    transition = Transition(
        expect={RUNS + run.id: 0},
        put=(run_put(run), first),
        join=joins[0] if small else (),
        publish=tuple(roots) if small else (),
    )
    (answer,) = await store.commit([transition])
    if answer.reason == "conflict":
        return False
    if not answer.ok:
        raise Refused(f"the run was refused: {answer.reason} ({answer.key})")
    if not small:
        await _lay_rest(store, run, specs, roots)
    return True


async def _lay_rest(
    store: Backend, run: RunRecord, specs: Sequence[Spec], roots: Sequence[Message]
) -> None:
    """Write what one commit did not hold, in the order in which a death does no harm."""
    transitions = [Transition(put=(put,)) for put in graph_puts(run, specs)[1:]]
    transitions += [Transition(join=part) for part in chunks(Plan(run, specs).joins())]
    await commit_all(store, [*transitions, *publishing(roots)])
