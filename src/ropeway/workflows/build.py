"""Building a workflow: nodes, what they wait for, and what is refused before anything is sent."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Concatenate, Self, TypeVar, cast, overload

import msgspec
from msgspec.structs import replace

from ropeway.calls import Call, Chain, Parallel
from ropeway.codecs import JSON
from ropeway.errors import BadArguments, BadWorkflow, MessageTooLarge
from ropeway.graph import MOST_NODES, Need, Rule, Use, cycle
from ropeway.ids import new_id
from ropeway.message import Message
from ropeway.nodes import Hole, Node
from ropeway.options import (
    Duration,
    Options,
    changed,
    checked_priority,
    checked_queue,
    duration,
)
from ropeway.retry import DEFAULT
from ropeway.runs.handle import Run
from ropeway.runs.records import BEGUN, EXPAND, FIRST, SIGNALLED, WAITED, Ask, Spec
from ropeway.sending import Source
from ropeway.stepping import step
from ropeway.task import Sender
from ropeway.workflows.sending import Built, encode_sketch, send_run

R = TypeVar("R")
T = TypeVar("T")

Before = Node | str | Iterable[Any] | None
"""Nodes, or their names."""


class Workflow:
    """Tasks and what they wait for; made by `app.workflow(name)`, and sent as a whole.

    What `add` and `map` return stands for a result: given to another task as an argument, it is what
    that task waits for and what it gets. `queue` and `priority` are for the nodes whose tasks do not
    say other ones; results and the record of a run are kept for `keep` at least.
    """

    def __init__(
        self,
        app: Source,
        name: str,
        *,
        keep: Duration = "7d",
        queue: str | None = None,
        priority: int | None = None,
    ) -> None:
        if not isinstance(name, str) or not 0 < len(name.encode()) <= 200 or "\n" in name:
            raise BadArguments(f"{name!r} is no name of a workflow", hint="write a short text")
        self.name = name
        self._app = app
        self._keep = duration(keep, "keep")
        self._queue = None if queue is None else checked_queue(queue)
        self._band = None if priority is None else checked_priority(priority)
        self._nodes: list[Node] = []
        self._specs: list[Spec] = []
        self._extra: list[tuple[int, int]] = []
        self._signals: set[str] = set()
        self._names: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Workflow {self.name} with {len(self._specs)} nodes>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.built()

    # -- nodes ----------------------------------------------------------------------------

    @overload
    def add(
        self,
        call: Call[R],
        *,
        name: str | None = None,
        after: Before = None,
        when: Any = None,
        unless: Any = None,
    ) -> R: ...
    @overload
    def add(
        self,
        call: Chain[R],
        *,
        name: str | None = None,
        after: Before = None,
        when: Any = None,
        unless: Any = None,
    ) -> R: ...
    @overload
    def add(
        self,
        call: Parallel[R],
        *,
        name: str | None = None,
        after: Before = None,
        when: Any = None,
        unless: Any = None,
    ) -> list[R]: ...
    def add(
        self,
        call: Any,
        *,
        name: str | None = None,
        after: Before = None,
        when: Any = None,
        unless: Any = None,
    ) -> Any:
        """Add a call, a chain or a group; returns what stands for its result.

        It waits for the nodes among its arguments, and for those that `after` names, and runs if all
        have succeeded, the result of the node `when` is true, and that of `unless` is not.
        """
        needs = self._needs(after)
        needs += [Need(self._own(when, "when").number, "true")] if when is not None else []
        needs += [Need(self._own(unless, "unless").number, "false")] if unless is not None else []
        if isinstance(call, Call):
            return self._add_call(call, name, needs)
        if isinstance(call, Chain | Parallel):
            return call.added(partial(self._add_step, name, needs), ())
        raise BadArguments(
            f"{call!r:.200} is no call of a task", hint="write wf.add(task.call(...))"
        )

    @overload
    def map(
        self,
        task: Callable[[T], Coroutine[Any, Any, R]],
        items: Iterable[T],
        *,
        name: str | None = None,
        after: Before = None,
    ) -> list[R]: ...
    @overload
    def map(
        self,
        task: Callable[[T], R],
        items: Iterable[T],
        *,
        name: str | None = None,
        after: Before = None,
    ) -> list[R]: ...
    @overload
    def map(
        self,
        task: Sender[Concatenate[T, ...], R],
        items: Iterable[T],
        *,
        name: str | None = None,
        after: Before = None,
    ) -> list[R]: ...
    def map(self, task: Any, items: Any, *, name: str | None = None, after: Before = None) -> Any:
        """Run a task once for each item of a node's result, or of a list: how many is known then.

        Returns what stands for the list of their results, in the order of the items.
        """
        if not isinstance(task, Sender):
            raise BadArguments(f"{task!r:.200} is no task", hint="write wf.map(task, items)")
        call, parameter = task.each()
        needs, uses = self._needs(after), tuple[Use, ...]()
        given: Any = None
        if isinstance(items, Node):
            node = self._own(items, "items")
            needs, uses = [Need(node.number), *needs], (Use(node.number, ("items",), node.many),)
        else:
            given = list(items)
        each = self._ask(call)
        body = JSON.encode({"items": given, "each": msgspec.to_builtins(each), "into": parameter})
        self._refuse_large(body, "the items of a map")
        ask = Ask(task=EXPAND, body=body, queue=each.queue, band=each.band, kind="loop")
        spec = Spec(
            name=self._named(name or _short(each.task)),
            ask=ask,
            shape="map",
            needs=tuple(needs),
            uses=uses,
            each=each,
        )
        return self._insert(spec, list.__class_getitem__(call.result_type), many=True)

    def either(self, first: R, *others: R) -> R:
        """Return what stands for the result of the first of these nodes that has one.

        For branches of which one runs: it waits until each has ended, or is known not to run.
        """
        nodes = [self._own(each, "either") for each in (first, *others)]
        needs = tuple(Need(node.number, "any") for node in nodes)
        uses = tuple(
            Use(node.number, ("values", index), node.many) for index, node in enumerate(nodes)
        )
        body = JSON.encode({"values": [None] * len(nodes)})
        name = self._named("either")
        spec = Spec(name=name, ask=self._inner(FIRST, body), needs=needs, uses=uses)
        return cast("R", self._insert(spec, nodes[0].type))

    def sleep(
        self, delay: Duration = 0.0, *, until: datetime | None = None, after: Before = None
    ) -> None:
        """Add a node that ends so long after those before it have, or at a date; returns it.

        Name it in `after=` of what is to wait.
        """
        options = changed(_PLAIN, DEFAULT, {"at": until} if until else {"delay": delay})
        ask = replace(self._inner(WAITED), delay=options.delay, due=options.due)
        spec = Spec(name=self._named("sleep"), ask=ask, needs=tuple(self._needs(after)))
        return cast("None", self._insert(spec, type(None)))

    def signal(
        self,
        name: str,
        type: type[T],
        *,
        timeout: Duration | None = None,
        after: Before = None,
    ) -> T:
        """Add a node that waits for `run.signal(name, value)`, an approval say; returns the value.

        It waits from when the nodes before it have ended. After `timeout` it fails with
        `SignalTimeout`. A signal that comes before it is waited for is kept.
        """
        if name in self._signals or "/" in name:
            raise BadWorkflow(
                f"the signal {name!r} " + ("is there twice" if "/" not in name else "has a / in it")
            )
        self._signals.add(name)
        body = JSON.encode({"name": name})
        spec = Spec(
            name=self._named(name),
            ask=self._inner(SIGNALLED, body),
            shape="signal",
            needs=tuple(self._needs(after)),
            timeout=None if timeout is None else duration(timeout, "timeout"),
            signal=name,
        )
        return cast("T", self._insert(spec, type))

    # -- what runs when something failed -----------------------------------------------------

    def on_failure(self, call: Call[R], *, of: Before = None, name: str | None = None) -> R:
        """Add a call that runs if one of these nodes failed, or did not run because of a failure.

        Without `of`, if anything failed that was added before. It waits until all of them have
        ended. A node among its arguments must have succeeded; else it does not run either.
        """
        return self._handler(call, "failed", of, name)

    def always(self, call: Call[R], *, after: Before = None, name: str | None = None) -> R:
        """Add a call that runs when these nodes have ended, or all before it, however they did."""
        return self._handler(call, "done", after, name)

    def _handler(self, call: Call[R], rule: Rule, of: Before, name: str | None) -> R:
        if not isinstance(call, Call):
            raise BadArguments(f"{call!r:.200} is no call of a task", hint="write task.call(...)")
        watched = self._numbers(of) if of is not None else self._ends()
        if not watched:
            raise BadWorkflow("a handler has nothing to watch", hint="add it after the nodes")
        needs = [Need(number, rule) for number in watched]
        return cast("R", self._add_call(call, name, needs, handler=True))

    def _ends(self) -> list[int]:
        """Return the nodes that nothing follows from yet, handlers aside."""
        followed = {
            need.node for spec in self._specs if not spec.handler for need in spec.needs
        } | {first for first, _ in self._extra}
        numbers = range(1, len(self._specs) + 1)
        return [n for n in numbers if n not in followed and not self._specs[n - 1].handler]

    # -- control of single nodes -------------------------------------------------------------

    def node(self, of: Any) -> Node:
        """Return the node behind what `add` or `map` has returned: its `name`, for one."""
        return self._own(of, "node")

    def order(self, first: Any, then: Any) -> None:
        """Have one node wait for another one, whose result it does not take."""
        (before,), (behind,) = self._numbers(first), self._numbers(then)
        self._extra.append((before, behind))

    # -- the whole ------------------------------------------------------------------------

    def send(self) -> Run[Any]:
        """Begin a run. When it returns, all of it is on the disk of the backend.

        Raises `BadWorkflow`, and what `send` of a task raises.
        """
        return step(self.asend())

    async def asend(self) -> Run[Any]:
        """The same as `send`, for async code."""
        return Run(self._app, (await send_run(self._app, self.built())).id, self.built().type)

    def call(self) -> Call[str]:
        """Return the call that begins a run, for a schedule or for later; it returns the run's id.

        The graph goes with it. However often the call runs, it begins one run.
        """
        built = self.built()
        body = JSON.encode({"graph": encode_sketch(built)})
        self._refuse_large(body, "the nodes of a workflow that is called")
        ask = self._inner(BEGUN, body)
        message = Message(
            id=new_id(), task=BEGUN, body=body, queue=ask.queue, band=ask.band, kind="loop"
        )
        return Call(message, str, app=self._app)

    def built(self) -> Built:
        """Return the graph, checked; raises `BadWorkflow`."""
        if not self._specs:
            raise BadWorkflow(f"workflow {self.name!r} has no nodes", hint="wf.add(task.call(...))")
        specs = list(self._specs)
        for first, then in self._extra:
            spec = specs[then - 1]
            specs[then - 1] = replace(spec, needs=(*spec.needs, Need(first)))
        if circle := cycle([[], *(spec.before for spec in specs)]):
            names = " → ".join(specs[number - 1].name for number in reversed(circle))
            raise BadWorkflow(f"nodes wait for each other: {names}", hint="take one edge out")
        ends = self._ends()
        types = [self._nodes[number - 1].type for number in ends]
        return Built(
            name=self.name,
            specs=specs,
            keep=self._keep,
            results=tuple(ends),
            listed=len(ends) != 1,
            type=types[0] if len(types) == 1 else list,
            queue=self._queue or specs[0].ask.queue,
            band=5 if self._band is None else self._band,
        )

    # -- inside ---------------------------------------------------------------------------

    def _add_call(
        self, call: Call[Any], name: str | None, needs: Sequence[Need], *, handler: bool = False
    ) -> Any:
        ask = self._ask(call)
        uses = [self._use(hole) for hole in call.holes]
        wanted = [*(Need(use.node) for use in uses), *needs]
        spec = Spec(
            name=self._named(name or _short(ask.task)),
            ask=ask,
            needs=tuple(dict.fromkeys(wanted)),
            uses=tuple(uses),
            handler=handler,
        )
        return self._insert(spec, call.result_type)

    def _add_step(
        self, prefix: str | None, needs: Sequence[Need], call: Call[Any], before: Sequence[Node]
    ) -> Node:
        """Add a call of a chain or a group, which has the needs of the whole."""
        name = None if prefix is None else f"{prefix}.{_short(call.message.task)}"
        more = [Need(node.number) for node in before]
        node: Node = self._add_call(call, name, [*needs, *more])
        return node

    def _use(self, hole: Hole) -> Use:
        node = self._own(hole.node, ".".join(map(str, hole.path)))
        return Use(node.number, hole.path, node.many)

    def _insert(self, spec: Spec, kind: Any, *, many: bool = False) -> Node:
        if len(self._specs) >= MOST_NODES:
            raise BadWorkflow(
                f"a workflow has at most {MOST_NODES:,} nodes", hint="write wf.map(task, items)"
            )
        self._specs.append(spec)
        node = Node(self, len(self._specs), spec.name, kind, many=many)
        self._nodes.append(node)
        return node

    def _ask(self, call: Call[Any]) -> Ask:
        message = call.message
        _refuse_unfit(call)
        self._refuse_large(message.body, f"the arguments of {message.task}")
        changes: dict[str, Any] = {}
        if self._queue is not None and message.queue == _PLAIN.queue:
            changes["queue"] = self._queue
        if self._band is not None and message.band == _PLAIN.band:
            changes["band"] = self._band
        return replace(Ask.of(message), **changes)

    def _refuse_large(self, body: bytes, what: str) -> None:
        most = self._app.settings.max_message
        if len(body) > most:
            raise MessageTooLarge(
                f"{what} take {len(body):,} bytes, more than max_message={most:,}, and a workflow "
                "keeps them as long as it runs",
                hint="have a node return them, or pass a reference (a path, a key)",
            )

    def _inner(self, task: str, body: bytes = b"{}") -> Ask:
        band = 5 if self._band is None else self._band
        return Ask(task=task, body=body, queue=self._queue or "default", band=band, kind="loop")

    def _named(self, wanted: str) -> str:
        if not isinstance(wanted, str) or not 0 < len(wanted) <= 200 or set(wanted) & set("[]/\n"):
            raise BadArguments(f"{wanted!r} is no name of a node", hint="write a short text")
        number = self._names.get(wanted, 0) + 1
        name = wanted if number == 1 else f"{wanted}-{number}"
        while name in self._names:
            number += 1
            name = f"{wanted}-{number}"
        self._names[wanted] = number
        self._names.setdefault(name, 1)
        return name

    def _needs(self, after: Before) -> list[Need]:
        return [Need(number) for number in self._numbers(after)]

    def _numbers(self, of: Any) -> list[int]:
        if of is None:
            return []
        if isinstance(of, Node | str):
            return [self._own(of, "after").number]
        return [self._own(each, "after").number for each in of]

    def _own(self, of: Any, what: str) -> Node:
        if isinstance(of, Node):
            if of.workflow is not self:
                other = getattr(of.workflow, "name", "")
                raise BadWorkflow(
                    f"{what}: node {of.name!r} belongs to the workflow {other!r}, not {self.name!r}"
                )
            return of
        names = [node.name for node in self._nodes]
        if of in names:
            return self._nodes[names.index(of)]
        close = difflib.get_close_matches(str(of), names, 1)
        raise BadWorkflow(
            f"{what}: {self.name!r} has no node {of!r}",
            hint=f"is {close[0]!r} meant?" if close else f"there are: {', '.join(names[:10])}",
        )


_PLAIN = Options()


def _short(task: str) -> str:
    return task.rpartition(".")[2] or task


def _refuse_unfit(call: Call[Any]) -> None:
    message, terms = call.message, call.message.terms
    wrong: list[str] = []
    wrong += ["unique"] * (call.unique is not None)
    wrong += ["connection"] * (call.connection is not None)
    wrong += ["exchange"] * (message.mandatory is not None)
    wrong += ["expires"] * (message.expires is not None)
    if terms is not None:
        wrong += ["expires"] * (terms.expires is not None)
        wrong += ['ack="early"'] * (terms.early is True)
        wrong += ["store=False"] * (terms.store is False)
    if wrong:
        raise BadArguments(
            f"{message.task} is sent with {wrong[0]}, which a node of a workflow cannot have: what "
            "follows waits for its end and for its result",
            hint="take it out with using(...), or send the task by itself",
        )
