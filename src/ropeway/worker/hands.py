"""Running an app's calls in this process: each is handed to the executor of its kind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ropeway.blobs import refuse_larger
from ropeway.codecs import JSON
from ropeway.context import Running, Waits
from ropeway.decide import NO_TERMS
from ropeway.exact import Check
from ropeway.executor import Bind, Call, Ended, Executor, Trace
from ropeway.executors.loop import LoopExecutor
from ropeway.executors.threads import ThreadExecutor
from ropeway.message import Failure, Fence, Kind, Outcome, Terms
from ropeway.reference import reference_of
from ropeway.sending import Source
from ropeway.task import Definition
from ropeway.topics.declaring import DRIVER_POLICY
from ropeway.topics.records import DRIVER
from ropeway.worker.apart import (
    already_bound,
    fed_first,
    fetched_first,
    not_kept,
    setting_apart,
)
from ropeway.worker.around import Surroundings
from ropeway.worker.early import settled_first
from ropeway.worker.frames import Start, TaskInfo
from ropeway.worker.growing import grown
from ropeway.worker.locate import Application
from ropeway.worker.owned import Owned, settled_with
from ropeway.worker.reports import Reporter, Reports
from ropeway.worker.stacks import stacks
from ropeway.worker.subscribers import Subscribers
from ropeway.worker.versions import binder, too_new

log = logging.getLogger("ropeway.worker")


class _Way(Struct, frozen=True):
    """How a call is run. Without terms of its own, it is that of every other call of its task."""

    source: Source
    definition: Definition
    function: Callable[..., Any]
    bind: Bind
    encode: Callable[[Any], bytes]
    kept: bool
    early: bool
    timeout: float | None


class Hands:
    """Made on the event loop that runs the coroutine functions, on which `ended` is called too."""

    def __init__(
        self,
        app: Application,
        slots: Mapping[Kind, int],
        trace: Trace,
        ended: Ended,
        solo_waits: Waits | None = None,
    ) -> None:
        self._app, self._tell = app, ended
        self._running: dict[int, tuple[Kind, Running]] = {}
        self._reports = Reports()
        self._surroundings = Surroundings(app.hooks)
        self._subscribers = Subscribers(app, self._around)
        self._functions: dict[str, Callable[..., Any]] = {}
        self._usual: dict[str, _Way] = {}
        self._solo_waits = solo_waits
        self._waits = {kind: Waits(count) for kind, count in slots.items()}
        self._executors = {
            kind: _executor(kind, count, trace, self._ended) for kind, count in slots.items()
        }

    def start(self, start: Start) -> None:
        """Run a call when its executor has a slot free."""
        usual = self._usual.get(start.task)
        if usual is not None and start.terms is None and reference_of(start.body) is None:
            self._submit(start, usual, None)
        elif start.task == DRIVER:
            self._subscribe(start)
        else:
            self._find_way(start)

    def _find_way(self, start: Start) -> None:
        """Run a call as its task and its own terms say; what the next one has in common is kept."""
        task = self._app.tasks.get(start.task) or self._app.inner.get(start.task)
        if task is None:
            # Another process knew it: this one imported an older or newer version of the code.
            error = Failure(type="UnknownTask", message=f"no task is called {start.task}")
            self._tell(start.slot, Outcome(ending="unknown_task", error=error))
            return
        definition = task.definition
        terms = (start.terms or NO_TERMS).over(definition.terms)
        refusal = too_new(definition, terms.version)
        if refusal is not None:
            self._tell(start.slot, refusal)
            return
        function = self._around(definition)
        kept = self._is_kept(terms)
        # A result that nobody can ask for may be anything that can be written.
        check = definition.signature.check_result if kept else None
        encode = partial(self._encode, check)
        owned, on_loop = None, definition.kind == "loop"
        if terms.early:
            function = settled_first(task.app, start, definition, function)
        elif task.app.store.capabilities.joint:
            owned = Owned(task.app, start, definition, encode, kept=kept)
        if terms.node is not None:
            function = grown(task.app, start, owned, function, on_loop=on_loop)
        if owned is not None:
            function = settled_with(owned, definition, function)
        bind = binder(definition, terms.version)
        if terms.node is not None and (terms.node.needs or terms.node.uses):
            function = fed_first(task.app, start, bind, function, on_loop=on_loop)
            bind = already_bound
        elif reference_of(start.body) is not None:
            function = fetched_first(task.app, start, bind, function, on_loop=on_loop)
            bind = already_bound
        early = terms.early is True
        way = _Way(
            task.app, definition, function, bind, encode, kept, early=early, timeout=terms.timeout
        )
        if start.terms is None and bind is not already_bound and not early and owned is None:
            self._usual[start.task] = way
        self._submit(start, way, owned)

    def _submit(self, start: Start, way: _Way, owned: Owned | None) -> None:
        definition = way.definition
        call = Call(
            slot=start.slot,
            task=start.task,
            running=self._context(start, way.source, definition.kind, owned, early=way.early),
            function=way.function,
            bind=way.bind,
            encode=way.encode,
            inline=self._app.settings.max_message,
            set_apart=setting_apart(way.source, start) if way.kept else not_kept,
            body=start.body,
            content_type=start.content_type,
            policy=start.policy or definition.policy,
            timeout=way.timeout,
        )
        self._running[start.slot] = (definition.kind, call.running)
        self._executors[definition.kind].submit(call)

    def _subscribe(self, start: Start) -> None:
        """Have a cursor held: a call on the loop that ends when it is recalled, or interrupted."""
        call = self._subscribers.call(start)
        if isinstance(call, Outcome):
            self._tell(start.slot, call)
            return
        self._running[start.slot] = ("loop", call.running)
        self._executors["loop"].submit(call)

    async def begin(self) -> None:
        """Do what the app wants done before the first call; what that raises comes through."""
        await self._surroundings.begin()

    async def end(self, patience: float) -> None:
        """Do what it wants done after the last; what that raises, or does not end, is logged."""
        try:
            await asyncio.wait_for(self._surroundings.end(), patience)
        except Exception:
            log.exception("what belongs to the end of a process did not go well")

    def _around(self, definition: Definition) -> Callable[..., Any]:
        function = self._functions.get(definition.name)
        if function is None:
            function = self._surroundings.around(definition.function)
            self._functions[definition.name] = function
        return function

    def interrupt(self, slots: Iterable[int]) -> None:
        """Stop these calls, as far as their executors can."""
        for slot in slots:
            if slot in self._running:
                self._executors[self._running[slot][0]].interrupt(slot)

    def recall(self) -> list[int]:
        """Take back every call that has not started; returns their slots."""
        self._subscribers.recall()
        slots = [slot for executor in self._executors.values() for slot in executor.recall()]
        for slot in slots:
            del self._running[slot]
        return slots

    def stacks(self) -> str:
        """Describe what every thread and coroutine of this process is doing."""
        calls: dict[int, Call] = {}
        for executor in self._executors.values():
            calls |= executor.threads()
        return stacks(calls)

    def close(self) -> None:
        """Take no more calls, and free what is idle."""
        for executor in self._executors.values():
            executor.close()

    def _context(
        self, start: Start, source: Source, kind: Kind, owned: Owned | None, *, early: bool
    ) -> Running:
        """What the call can know of itself, and say."""
        fence = Fence(start.job_id, start.attempt, start.holder)
        return Running(
            fence=fence,
            task=start.task,
            queue=start.queue,
            key=start.key,
            tags=start.terms.tags if start.terms is not None else (),
            headers=start.headers or {},
            exchange=start.exchange,
            routing_key=start.routing_key,
            trace=start.trace,
            transact=owned,
            report=Reporter(self._reports, source, fence, not early),
            # One that runs alone takes no slot from what it waits for.
            waits=self._solo_waits if start.solo else self._waits[kind],
            node=start.terms.node if start.terms is not None else None,
        )

    def _is_kept(self, terms: Terms) -> bool:
        """Whether anybody can ask for the result of a call."""
        keep = self._app.settings.keep if terms.keep is None else terms.keep
        return keep > 0 and terms.store is not False and not terms.early

    def _encode(self, check: Check | None, value: Any) -> bytes:
        data = JSON.encode(value)
        if check is not None:
            check(value, "$", JSON)
        refuse_larger(len(data), self._app.settings, "it takes")
        return data

    def _ended(self, slot: int, outcome: Outcome) -> None:
        ran = self._running.pop(slot, None)
        self._subscribers.ended(slot)
        last = self._reports.ended(ran[1].fence) if ran is not None else None
        if last is not None:
            outcome = replace(outcome, progress=last)
        self._tell(slot, outcome)


def _executor(kind: Kind, slots: int, trace: Trace, ended: Ended) -> Executor:
    if kind == "loop":
        return LoopExecutor(slots, trace, ended)
    # `cpu` calls too, one at a time: the loop goes on answering the supervisor.
    return ThreadExecutor(slots, trace, ended, kind)


def told_of(app: Application) -> dict[str, TaskInfo]:
    """What the loops of a worker need to know of an app's tasks, and of its subscriptions."""
    told = {
        name: TaskInfo(
            kind=task.definition.kind,
            queue=task.options.queue,
            digest=task.definition.signature.digest,
            policy=task.definition.policy,
            terms=task.definition.terms,
        )
        for name, task in {**app.inner, **app.tasks}.items()
    }
    for each in app.topics.subscribed:
        told[DRIVER] = TaskInfo(
            kind="loop", queue=each.queue, digest="", policy=DRIVER_POLICY, terms=NO_TERMS
        )
    return told
