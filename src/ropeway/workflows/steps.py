"""What a workflow does beside its tasks: the tasks that every worker knows, which nobody sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from ropeway.context import Running, running
from ropeway.errors import Refused, SignalTimeout
from ropeway.executor import NotRun
from ropeway.graph import (
    HELPER,
    MOST_TOLD,
    RUNS,
    TIMER,
    Lost,
    Place,
    Unfit,
    causes,
    cursor_key,
    join_name,
    lost_key,
    node_id,
    place_in,
    signal_key,
)
from ropeway.message import Failure, Message, Outcome, fingerprint
from ropeway.options import Options
from ropeway.retry import RetryPolicy
from ropeway.runs.feeding import Reader, not_run
from ropeway.runs.records import (
    BEGUN,
    ENDED,
    EXPAND,
    FIRST,
    GATHER,
    OPENED,
    SIGNALLED,
    WAITED,
    Ask,
    RunRecord,
    graph_of,
    graph_puts,
    run_put,
    see,
)
from ropeway.sending import Source
from ropeway.store import Backend
from ropeway.task import AsyncTask, Definition, Task
from ropeway.transition import OPEN_KEPT, Cancel, Join, Put, Transition
from ropeway.workflows.sending import begin_sketched

_PATIENT = RetryPolicy(retries=20, max_losses=20)
"""They compute nothing of the user's, so that what fails is what they ask."""

ITEMS = 500
"""Items of a map that are sent in one commit."""

_PAUSED = 30.0
_decode_lost = msgspec.msgpack.Decoder(Lost).decode


def inner_tasks(app: Source) -> dict[str, Task[..., Any]]:
    """Return the tasks that every worker knows, by name."""
    steps = Steps(app)
    functions: dict[str, Callable[..., Any]] = {
        OPENED: steps.opened,
        WAITED: steps.waited,
        FIRST: steps.first,
        EXPAND: steps.expand,
        GATHER: steps.gather,
        SIGNALLED: steps.signalled,
        ENDED: steps.ended,
        BEGUN: steps.begun,
    }
    return {
        name: AsyncTask(function, Definition(function, name, "loop", _PATIENT), app, Options())
        for name, function in functions.items()
    }


class Steps:
    """Each method is a task; the node that it runs for is the one of the running job."""

    def __init__(self, app: Source) -> None:
        self._app = app

    async def opened(self) -> None:
        """Say that a signal is waited for now, or that the time for it is over."""

    async def waited(self) -> None:
        """End: the wait was that of its message."""

    async def first(self, values: list[Raw]) -> Raw:
        """Return the first result that is there."""
        return next((each for each in values if bytes(each) != b"null"), Raw(b"null"))

    async def expand(self, items: list[Raw], each: Ask, into: str) -> int:
        """Send one message for each item, so many in a commit; returns how many there are."""
        run, version = await see(self._app.store, self._place().run)
        job, place = running.get(), self._place()
        done, count = await self._begun(job), len(items)
        base = each.message("", place, run)
        while True:
            if run.state == "paused":
                raise NotRun(Outcome(ending="interrupted", after=_PAUSED))
            if run.state != "running":
                raise NotRun(not_run("", place, Unfit("NotRun", f"the run is {run.state}")))
            page = range(done, min(done + ITEMS, count))
            transition = Transition(
                fence=job.fence,
                expect={RUNS + run.id: version},
                put=(Put(cursor_key(job.fence.id), b"%d %d" % (page.stop, count), ttl=OPEN_KEPT),),
                join=(Join(join_name(run.id, place.next[0]), count + 1),),
                publish=tuple(_item(base, place, job.fence.id, n, into, items[n]) for n in page),
            )
            (answer,) = await self._app.store.commit([transition])
            if answer.ok:
                done = page.stop
                if done >= count:
                    return count
            elif answer.reason == "conflict":
                run, version = await see(self._app.store, place.run)
            elif answer.reason in {"lost", "cancelled"}:
                raise NotRun(Outcome(ending="interrupted"))
            else:
                raise Refused(f"items of {place.path} were refused: {answer.reason} ({answer.key})")

    async def gather(self) -> int:
        """End a map of which all items have ended; returns how many there are."""
        node, _ = place_in(running.get().fence.id)
        (expanded,) = await Reader(self._app.store, self._place().run).jobs([(node, HELPER)])
        return int((expanded and expanded.value) or b"0")

    async def signalled(self, name: str) -> Raw:
        """Return what the run was told; raises `SignalTimeout` if that is nothing."""
        store, job, place = self._app.store, running.get(), self._place()
        (record,) = await store.get([signal_key(place.run, name)])
        if record is None:
            fact = f"the signal {name!r} did not come in time"
            failure = Failure(
                type=SignalTimeout.__name__,
                message=fact,
                fingerprint=fingerprint(job.task, SignalTimeout.__name__, name),
            )
            raise NotRun(Outcome(ending="raised", error=failure, retryable=False))
        timer = node_id(place.run, place_in(job.fence.id)[0], TIMER)
        await store.commit([Transition(cancel=(Cancel(timer),))])
        return Raw(record.value)

    async def ended(self, run: str) -> None:
        """Write how a run has ended, and let what is kept of it expire."""
        store = self._app.store
        marks = await store.scan(lost_key(run), limit=MOST_TOLD + 1)
        found, version = await see(store, run)
        while found.state in {"running", "paused"}:
            state = "failed" if marks else "succeeded"
            over: RunRecord = replace(found, state=state, finished=await store.now())
            if await _closed(store, over, version):
                break
            found, version = await see(store, run)
        if marks:
            raise NotRun(failed([_decode_lost(each.value) for each in marks]))

    async def begun(self, graph: bytes) -> str:
        """Begin a run of a graph, for a schedule say; returns its id."""
        return await begin_sketched(self._app, graph, running.get().fence.id)

    @staticmethod
    def _place() -> Place:
        place = running.get().node
        assert place is not None  # nobody sends these but workflows
        return place

    async def _begun(self, job: Running) -> int:
        """Return how many items an earlier attempt has sent."""
        (cursor,) = await self._app.store.get([cursor_key(job.fence.id)])
        return 0 if cursor is None else int(cursor.value.split()[0])


def failed(lost: list[Lost]) -> Outcome:
    """Return the outcome of the end of a run in which these nodes failed."""
    failure = Failure(
        type="RunFailed",
        message=causes(lost),
        fingerprint=fingerprint(ENDED, "RunFailed", lost[0].path.partition("[")[0]),
    )
    return Outcome(ending="raised", error=failure, retryable=False)


async def _closed(store: Backend, run: RunRecord, version: int) -> bool:
    """Write that a run is over, and until when it is kept; False if it changed meanwhile."""
    specs = await graph_of(store, run)
    (answer,) = await store.commit(
        [Transition(expect={RUNS + run.id: version}, put=(run_put(run, run.keep),))]
    )
    if answer.ok:
        await store.commit([Transition(put=(put,)) for put in graph_puts(run, specs, run.keep)])
    return answer.ok


def _item(base: Message, place: Place, job_id: str, n: int, into: str, item: Raw) -> Message:
    assert base.terms is not None
    own = Place(place.run, f"{place.path}[{n}]", place.next)
    return replace(
        base,
        id=node_id(place.run, place_in(job_id)[0], n + 1),
        body=msgspec.json.encode({into: item}),
        terms=replace(base.terms, node=own),
    )
