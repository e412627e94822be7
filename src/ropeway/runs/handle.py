"""A run: the caller's handle on a workflow that was sent."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway.codec import Undecodable
from ropeway.codecs import JSON
from ropeway.context import waiting_for
from ropeway.errors import ResultMismatch, ResultTimeout, RunFailed
from ropeway.graph import HELPER, MOST_TOLD, RUNS, Lost, causes, lost_key, node_id
from ropeway.message import job_key
from ropeway.runs import again, changes
from ropeway.runs.feeding import Ended, Reader, result_of, run_in_place
from ropeway.runs.records import RunRecord, RunState, Spec, graph_of, see
from ropeway.source import Stores
from ropeway.states import State
from ropeway.stepping import refuse_on_loop, step

R_co = TypeVar("R_co", covariant=True)

_decode_lost = msgspec.msgpack.Decoder(Lost).decode

NodeState = Literal[
    "waiting",
    "queued",
    "running",
    "succeeded",
    "failed",
    "cancelled",
    "expired",
    "quarantined",
    "skipped",
]


class NodeView(Struct, frozen=True, kw_only=True):
    """A node as it stands: what it waits for, why it did not run or how it failed; its job's id.

    Of a map, `items` says how many there are so far, and `failed` how many of these failed. `inner` is
    the run that it began in its place.
    """

    name: str
    task: str
    state: NodeState
    job_id: str
    after: tuple[str, ...] = ()
    reason: str = ""
    shape: str = "call"
    items: int | None = None
    failed: int = 0
    inner: str | None = None


class Graph(Struct, frozen=True, kw_only=True):
    """A run, and its nodes in the order they were added."""

    id: str
    name: str
    state: RunState
    created: float
    finished: float | None
    nodes: tuple[NodeView, ...]


class Run(Generic[R_co]):
    """One run of a workflow; made by `send`, or for a known id by `Ropeway.run`.

    Keeps no connection and no state: every verb asks the store.
    """

    __slots__ = ("_source", "_type", "id")

    def __init__(self, source: Stores, run_id: str, type: Any = Any) -> None:
        self.id = run_id
        self._source, self._type = source, type

    def __repr__(self) -> str:
        return f"Run({self.id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def result(self, timeout: float | None = None) -> R_co:
        """Wait for the run and return its result; see `aresult`.

        Raises `BlockingCall` on a running event loop.
        """
        refuse_on_loop("result", "run.aresult")
        return step(self.aresult(timeout))

    async def aresult(self, timeout: float | None = None) -> R_co:
        """Wait at most `timeout` seconds for the run; return what its last node did.

        That is the node that nothing follows from, handlers aside; of several, the list of what they
        returned, in the order they were added. Raises `RunFailed`, with the path to the cause, if
        the run failed or was cancelled, `ResultTimeout`, and `RunNotFound`.
        """
        run = await self._over(timeout)
        if run.state != "succeeded":
            raise await self._failure(run)
        data = await result_of(self._source.store, self.id)
        value = JSON.decode(data, self._type)
        if isinstance(value, Undecodable):
            raise ResultMismatch(
                f"the result of run {self.id} is not a {self._type}: {value.reason}",
                hint="the return annotation of its last task says otherwise than what it returned",
            )
        result: R_co = value
        return result

    async def _over(self, timeout: float | None) -> RunRecord:
        deadline = math.inf if timeout is None else self._source.clock.boot() + timeout
        while (run := await self._record()).state in {"running", "paused"}:
            left = deadline - self._source.clock.boot()
            if left <= 0:
                raise ResultTimeout(
                    f"run {self.id} ({run.name}) is {run.state} after {timeout} s",
                    hint=f"see: ropeway workflows show {self.id}",
                )
            with waiting_for(self.id):
                longest = min(left, self._source.longest_wait)
                await self._source.store.wait([RUNS + self.id], longest)
        return run

    async def _record(self) -> RunRecord:
        return (await see(self._source.store, self.id))[0]

    async def _failure(self, run: RunRecord) -> RunFailed:
        marks = await self._source.store.scan(lost_key(self.id), limit=MOST_TOLD + 1)
        told = causes([_decode_lost(each.value) for each in marks])
        return RunFailed(
            f"run {self.id} ({run.name}) {run.state}{': ' * bool(told)}{told}",
            hint=f"see: ropeway workflows show {self.id}; again: ropeway workflows retry {self.id}",
            type=run.state,
        )

    def status(self) -> RunState:
        """Return how the run stands; see `astatus`."""
        return step(self.astatus())

    async def astatus(self) -> RunState:
        """Return how the run stands: running, paused, succeeded, failed or cancelled."""
        return (await self._record()).state

    def graph(self) -> Graph:
        """Return the nodes of the run, and how each stands; see `agraph`."""
        return step(self.agraph())

    async def agraph(self) -> Graph:
        """Return the nodes of the run, and how each stands. Raises `RunNotFound`."""
        store = self._source.store
        run = await self._record()
        specs = await graph_of(store, run)
        jobs = await Reader(store, run.id).jobs([(n, 0) for n in range(1, len(specs) + 1)])
        views = [await self._view(run, specs, n, job) for n, job in enumerate(jobs, 1)]
        return Graph(
            id=run.id,
            name=run.name,
            state=run.state,
            created=run.created,
            finished=run.finished,
            nodes=tuple(views),
        )

    async def _view(
        self, run: RunRecord, specs: list[Spec], number: int, job: Ended | None
    ) -> NodeView:
        spec = specs[number - 1]
        view = NodeView(
            name=spec.name,
            task=spec.each.task if spec.each is not None else spec.ask.task,
            state=_state(job),
            job_id=node_id(run.id, number),
            after=tuple(specs[each - 1].name for each in spec.before),
            reason=_reason(job),
            shape=spec.shape,
            inner=None if job is None else run_in_place(job.value),
        )
        return view if spec.shape == "call" else await self._beside(run, number, view)

    async def _beside(self, run: RunRecord, number: int, view: NodeView) -> NodeView:
        """Add what is known of a node that has several jobs."""
        store = self._source.store
        (opened,) = await Reader(store, run.id).jobs([(number, HELPER)])
        if view.state == "waiting" and opened is not None:
            view = _with(view, state="running")
        if view.shape == "map":
            items = await changes.sent_items(store, run, number)
            lost = await store.scan(lost_key(run.id, f"{number:04x}"), limit=1_000)
            view = _with(view, items=items, failed=len(lost))
            if lost and view.state == "cancelled":
                told = f"{len(lost)} of {items} items failed"
                view = _with(view, state="failed", reason=told)
        return view

    def cancel(self) -> Literal["cancelled", "ended"]:
        """Cancel the run; see `acancel`."""
        return step(self.acancel())

    async def acancel(self) -> Literal["cancelled", "ended"]:
        """Cancel the run: what waits never runs, what runs is interrupted, as `Job.cancel` does.

        "ended": it had ended before. Raises `RunNotFound`.
        """
        settings = self._source.settings
        return await changes.cancel(self._source.store, self.id, settings.keep_failed)

    def retry(self, *, from_node: str | None = None) -> None:
        """Have the run go on from what failed; see `aretry`."""
        step(self.aretry(from_node=from_node))

    async def aretry(self, *, from_node: str | None = None) -> None:
        """Run again what failed or was cancelled, `from_node` too, and all that follows from it.

        The run, which has ended, keeps its id, and what succeeded its results. Of a map only the
        items run again that failed. Raises `Refused` and `RunNotFound`.
        """
        await again.retry(self._source.store, self.id, from_node)

    def pause(self) -> bool:
        """Have no further node begin; see `apause`."""
        return step(self.apause())

    async def apause(self) -> bool:
        """Have no further node begin until `resume`; what runs goes on. False if it is not running."""
        return await changes.pause(self._source.store, self.id)

    def resume(self) -> bool:
        """Have a paused run go on; see `aresume`."""
        return step(self.aresume())

    async def aresume(self) -> bool:
        """Have a paused run go on. False if it is not paused."""
        return await changes.resume(self._source.store, self.id)

    def signal(self, name: str, value: Any = None) -> None:
        """Tell the run what it waits for; see `asignal`."""
        step(self.asignal(name, value))

    async def asignal(self, name: str, value: Any = None) -> None:
        """Tell the run what the node `wf.signal(name, ...)` waits for, also before it does.

        The first one counts: a second raises `Refused`. `BadArguments` if it waits for no such.
        """
        await changes.signal(self._source.store, self.id, name, value)

    def watch(self, timeout: float | None = None) -> Iterator[Graph]:
        """Yield the graph, now and whenever a node has changed, up to the end; see `awatch`."""
        refuse_on_loop("watch", "run.awatch")
        seen: Graph | None = None
        deadline = math.inf if timeout is None else self._source.clock.boot() + timeout
        while seen is None or seen.state in {"running", "paused"}:
            seen = step(self._change(seen, deadline, timeout))
            yield seen

    async def awatch(self, timeout: float | None = None) -> AsyncIterator[Graph]:
        """Yield the graph, now and whenever a node has changed, up to the end of the run."""
        seen: Graph | None = None
        deadline = math.inf if timeout is None else self._source.clock.boot() + timeout
        while seen is None or seen.state in {"running", "paused"}:
            seen = await self._change(seen, deadline, timeout)
            yield seen

    async def _change(self, seen: Graph | None, deadline: float, timeout: float | None) -> Graph:
        while True:
            graph = await self.agraph()
            if graph != seen:
                return graph
            left = deadline - self._source.clock.boot()
            if left <= 0:
                raise ResultTimeout(f"run {self.id} is {graph.state} after {timeout} s")
            open_ones = [n for n in graph.nodes if n.state in {"queued", "running", "waiting"}]
            names = [RUNS + self.id, *(job_key(each.job_id) for each in open_ones[:50])]
            with waiting_for(self.id):
                longest = min(left, self._source.longest_wait, 0.5)
                await self._source.store.wait(names, longest)


def _state(job: Ended | None) -> NodeState:
    if job is None:
        return "waiting"
    if job.error is not None and job.state is State.CANCELLED and job.error.type == "Skipped":
        return "skipped"
    state: NodeState = job.state.value
    return state


def _reason(job: Ended | None) -> str:
    if job is None or job.error is None or job.state in {State.SUCCEEDED, State.QUEUED}:
        return ""
    if job.state is State.CANCELLED:
        return job.error.message
    return f"{job.error.type}: {job.error.message.partition(chr(10))[0]}"


def _with(view: NodeView, **changes: Any) -> NodeView:
    return replace(view, **changes)
