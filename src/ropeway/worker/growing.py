"""Nodes of workflows that return more work: it is run in their place before what follows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ropeway.calls import Call, Chain, Parallel
from ropeway.errors import BadWorkflow
from ropeway.executor import NotRun
from ropeway.graph import Place
from ropeway.message import Outcome
from ropeway.runs.changes import inner_run_id, start_name
from ropeway.runs.feeding import in_place_of
from ropeway.runs.records import CHUNK, Outer, Plan
from ropeway.sending import Source
from ropeway.stepping import step
from ropeway.transition import Join, Transition
from ropeway.worker.frames import Start
from ropeway.worker.owned import Owned
from ropeway.workflows.build import Workflow
from ropeway.workflows.sending import Built, inner_run, lay_run


def grown(
    app: Source, start: Start, owned: Owned | None, function: Callable[..., Any], *, on_loop: bool
) -> Callable[..., Any]:
    """Return the function; if it returns a workflow, a chain, a group or a call, that is begun."""
    if on_loop:

        async def arun(*args: Any, **kwargs: Any) -> Any:
            value = await function(*args, **kwargs)
            await _grow(app, start, owned, value)
            return value

        return arun

    def run(*args: Any, **kwargs: Any) -> Any:
        value = function(*args, **kwargs)
        step(_grow(app, start, owned, value))
        return value

    return run


async def _grow(app: Source, start: Start, owned: Owned | None, value: Any) -> None:
    built = _built(value)
    if built is None:
        return
    if owned is not None and owned.opened:
        raise BadWorkflow(
            f"{start.task} returns more work, and has a transaction that its end was to be part of",
            hint="commit in a node of its own",
        )
    assert start.terms is not None and start.terms.node is not None
    raise NotRun(await _laid(app, start, start.terms.node, built))


def _built(value: Any) -> Built | None:
    if isinstance(value, Call | Chain | Parallel):
        workflow: Any = value.app.workflow("more")
        workflow.add(value)
        value = workflow
    return value.built() if isinstance(value, Workflow) else None


async def _laid(app: Source, start: Start, place: Place, built: Built) -> Outcome:
    """Store the run, so that the settle of the node begins it, and its end arrives for the node.

    Each attempt has a run of its own, and only that of the one that settles begins.
    """
    store, run_id = app.store, inner_run_id(start.job_id, start.attempt, place.next)
    after = tuple(f"{each}={start.job_id[24:]}" if "=" not in each else each for each in place.next)
    root = (start.headers or {}).get("run", place.run)
    outer = Outer(place.run, place.path, after)
    run = inner_run(built, run_id, outer, root, await store.now())
    roots = Plan(run, built.specs).roots()
    if len(roots) > CHUNK:
        raise BadWorkflow(
            f"{start.task} returns a workflow that begins with {len(roots):,} nodes at once",
            hint="write wf.map(task, items)",
        )
    await lay_run(store, run, built.specs, ())
    await store.commit([Transition(join=(Join(start_name(run_id), 1, tuple(roots)),))])
    return Outcome(ending="returned", value=in_place_of(run_id), next=(start_name(run_id),))
