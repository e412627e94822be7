"""What is kept of a run: how it stands, and its graph, in chunks that are written once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from ropeway.errors import RunNotFound
from ropeway.graph import (
    END,
    GRAPHS,
    HELPER,
    ITEMS,
    RUNS,
    TIMER,
    Need,
    Place,
    Use,
    followers,
    join_name,
    node_id,
)
from ropeway.message import Kind, Message, Terms
from ropeway.retry import RetryPolicy
from ropeway.store import Store
from ropeway.transition import OPEN_KEPT, Join, Put, Record

CHUNK = 250
"""Nodes in one record of a graph, and joins in one commit."""

RunState = Literal["running", "paused", "succeeded", "failed", "cancelled"]
Shape = Literal["call", "map", "signal"]

INNER = "ropeway."
"""What the names of tasks begin with that are no one's own."""

OPENED, EXPAND, GATHER, SIGNALLED, WAITED, FIRST, ENDED, BEGUN = (
    f"{INNER}{name}"
    for name in ("opened", "expand", "gather", "signalled", "waited", "first", "ended", "begun")
)
"""The tasks that every worker knows: what a workflow does beside its tasks."""


class Ask(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked of a task by a node: a message without its id and its place."""

    task: str
    body: bytes = b"{}"
    queue: str = "default"
    band: int = 5
    key: str | None = None
    due: float | None = None
    delay: float = 0.0
    kind: Kind = "threads"
    policy: RetryPolicy | None = None
    headers: dict[str, str] = field(default_factory=dict)
    trace: str | None = None
    content_type: str = "application/json"
    limits: tuple[str, ...] = ()
    terms: Terms | None = None

    @classmethod
    def of(cls, message: Message) -> Ask:
        """Return what a message asks for."""
        return cls(**{name: getattr(message, name) for name in cls.__struct_fields__})

    def message(self, job_id: str, place: Place, run: RunRecord) -> Message:
        """Return the message of a node of a run."""
        terms = self.terms or Terms()
        kept = run.keep if terms.keep is None else terms.keep
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        fields["terms"] = replace(terms, node=place, keep=kept)
        fields["headers"] = {**self.headers, "run": run.root}
        return Message(id=job_id, **fields)


class Spec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One node, as it was built: `each` is what a map asks for with every item."""

    name: str
    ask: Ask
    shape: Shape = "call"
    needs: tuple[Need, ...] = ()
    uses: tuple[Use, ...] = ()
    each: Ask | None = None
    timeout: float | None = None
    signal: str = ""
    handler: bool = False

    @property
    def before(self) -> list[int]:
        """The nodes that it waits for."""
        return list(dict.fromkeys(need.node for need in self.needs))


class Outer(Struct, frozen=True):
    """The node of another run whose place a run takes: what is to follow from its end."""

    run: str
    path: str
    next: tuple[str, ...]


class RunRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a run stands. `turn` counts how often it was begun, `which` are the nodes that this turn runs
    (None: all of them), and `results` those that it returns.

    Written when somebody begins, pauses, resumes, cancels or retries it, and at its end; never by
    its nodes.
    """

    id: str
    name: str
    state: RunState = "running"
    created: float = 0.0
    finished: float | None = None
    turn: int = 1
    pauses: int = 0
    which: tuple[int, ...] | None = None
    nodes: int = 0
    keep: float = 604_800.0
    queue: str = "default"
    band: int = 5
    results: tuple[int, ...] = ()
    listed: bool = False
    outer: Outer | None = None
    root: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode_run = msgspec.msgpack.Decoder(RunRecord).decode
_decode_specs = msgspec.msgpack.Decoder(list[Spec]).decode


def run_put(run: RunRecord, ttl: float = OPEN_KEPT) -> Put:
    """Return what writes the record of a run."""
    return Put(RUNS + run.id, _encode(run), ttl=ttl)


def run_of(record: Record) -> RunRecord:
    """Read what is kept of a run."""
    return _decode_run(record.value)


def graph_keys(run: RunRecord) -> list[str]:
    """Return the keys of the chunks of a run's graph."""
    return [f"{GRAPHS}{run.id}/{first:05d}" for first in range(0, run.nodes, CHUNK)]


def graph_puts(run: RunRecord, specs: Sequence[Spec], ttl: float = OPEN_KEPT) -> list[Put]:
    """Return what writes a graph, chunk by chunk."""
    chunks = (specs[first : first + CHUNK] for first in range(0, len(specs), CHUNK))
    return [
        Put(key, _encode(list(chunk)), ttl=ttl)
        for key, chunk in zip(graph_keys(run), chunks, strict=True)
    ]


async def see(store: Store, run_id: str) -> tuple[RunRecord, int]:
    """Look at a run; returns its record with the version. Raises `RunNotFound`."""
    (record,) = await store.get([RUNS + run_id])
    if record is None:
        raise RunNotFound(
            f"nothing is kept of run {run_id}",
            hint="it was never sent to this database, or its time to be kept is over; see: "
            "ropeway workflows ls",
        )
    return run_of(record), record.version


async def graph_of(store: Store, run: RunRecord) -> list[Spec]:
    """Read the nodes of a run; the first one is number 1."""
    specs: list[Spec] = []
    for record in await store.get(graph_keys(run)):
        if record is None:
            raise RunNotFound(f"the graph of run {run.id} is gone", hint="its `keep` is over")
        specs += _decode_specs(record.value)
    return specs


class Plan:
    """What of a graph is to run in one turn: the joins to be made, and what begins at once.

    `which` are the nodes that take part; the others have ended in an earlier turn. Of a map some
    items alone may be to run again: these messages are in `partly`, by node.
    """

    def __init__(
        self,
        run: RunRecord,
        specs: Sequence[Spec],
        partly: Mapping[int, Sequence[Message]] | None = None,
    ) -> None:
        self._run, self._specs, self._partly = run, specs, partly or {}
        # The end is a node like any other, behind all that nothing follows from.
        befores = [[], *(spec.before for spec in specs)]
        self.after = followers(befores)
        self.sinks = [node for node in range(1, len(befores)) if not self.after[node]]
        for node in self.sinks:
            self.after[node] = [END]
        self.which = set(range(1, len(befores))) if run.which is None else set(run.which)

    def joins(self) -> list[Join]:
        """Return the joins of this turn, the end's first."""
        need = sum(node in self.which for node in self.sinks)
        found = [Join(self._name(END), need, (end_message(self._run),))]
        for node in sorted(self.which):
            spec = self._specs[node - 1]
            if inside := self.inside(node):
                found.append(Join(self._name(node), inside, self._first(node)))
            if spec.shape == "map":
                need = len(self._partly.get(node, ())) or 1
                found.append(Join(self._name(node, ITEMS), need, (self.own(node),)))
            elif spec.shape == "signal":
                found.append(Join(self._name(node, "s"), 2, (self.own(node),)))
        return found

    def roots(self) -> list[Message]:
        """Return the messages of the nodes that wait for nothing in this turn."""
        return [
            message
            for node in sorted(self.which)
            if not self.inside(node)
            for message in self._first(node)
        ]

    def inside(self, node: int) -> int:
        """Return for how many nodes of this turn a node waits."""
        if node in self._partly:
            return 0
        return sum(each in self.which for each in self._specs[node - 1].before)

    def own(self, node: int) -> Message:
        """Return the message of a node's own job, whose end is the end of the node."""
        spec = self._specs[node - 1]
        after = tuple(self.local(each) for each in self.after[node])
        needs, uses = spec.needs, spec.uses
        if spec.shape == "map":
            needs, uses = (Need(node, "items"),), ()
        elif spec.shape == "signal":
            needs, uses = (Need(node, item=HELPER),), ()
        place = Place(self._run.id, spec.name, after, needs, uses)
        ask = spec.ask
        if spec.shape == "map":
            ask = replace(ask, task=GATHER, body=b"{}", due=None, delay=0.0)
        return ask.message(node_id(self._run.id, node), place, self._run)

    def _first(self, node: int) -> tuple[Message, ...]:
        """Return the messages that begin a node."""
        spec, run = self._specs[node - 1], self._run
        if spec.shape == "call":
            return (self.own(node),)
        if node in self._partly:
            return tuple(self._again(node, each) for each in self._partly[node])
        if spec.shape == "map":
            place = Place(run.id, spec.name, (self.local(node, ITEMS),), spec.needs, spec.uses)
            return (spec.ask.message(node_id(run.id, node, HELPER), place, run),)
        opened = replace(spec.ask, task=OPENED, body=b"{}")
        place = Place(run.id, spec.name, (self.local(node, "s"),), spec.needs)
        first = opened.message(node_id(run.id, node, HELPER), place, run)
        if spec.timeout is None:
            return (first,)
        late = replace(opened, delay=spec.timeout)
        place = Place(run.id, spec.name, (self.local(node, "s"),))
        return (first, late.message(node_id(run.id, node, TIMER), place, run))

    def _again(self, node: int, message: Message) -> Message:
        """Return the message of an item of a map for this turn."""
        terms = message.terms or Terms()
        place = terms.node or Place(self._run.id, self._specs[node - 1].name)
        place = Place(place.run, place.path, (self.local(node, ITEMS),))
        return replace(message, terms=replace(terms, node=place), signature=None)

    def local(self, node: int, part: str = "") -> str:
        """Return the name of a node's join in this turn, without the run."""
        return f"{self._run.turn}.{node:x}{part}"

    def _name(self, node: int, part: str = "") -> str:
        return join_name(self._run.id, self.local(node, part))


def end_message(run: RunRecord) -> Message:
    """Return the message of the end of a run."""
    place = Place(run.id, run.name)
    if run.outer is not None:
        place = Place(run.outer.run, run.outer.path, run.outer.next)
    body = msgspec.json.encode({"run": run.id})
    ask = Ask(task=ENDED, body=body, queue=run.queue, band=run.band, kind="loop")
    return ask.message(node_id(run.id, END), place, run)
