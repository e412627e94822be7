"""What cannot be is refused while a workflow is built, before anything is sent; and what it costs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ropeway import Ropeway, group
from ropeway.errors import BadArguments, BadWorkflow, NotEncodable, RopewayError
from ropeway.graph import node_id
from ropeway.message import Message
from ropeway.runs.records import Plan
from ropeway.store import Filter
from ropeway.workflows.sending import _record

app = Ropeway("memory://")


@app.task
def number(x: int) -> int:
    return x


@app.task
def total(parts: list[int], name: str = "") -> int:
    return sum(parts)


@app.task
def two(x: int, y: int) -> int:
    return x + y


@app.task
def none() -> int:
    return 1


def circle() -> object:
    wf = app.workflow("w")
    one, other, last = (wf.add(number.call(1), name=name) for name in ("a", "b", "c"))
    wf.order(one, other)
    wf.order(other, last)
    wf.order(last, one)
    return wf.built()


def foreign() -> object:
    return app.workflow("w").add(number.call(app.workflow("v").add(number.call(1))))


def in_the_block() -> object:
    wf = app.workflow("w")
    return [each for each in wf.add(total.call([1]))]  # type: ignore[attr-defined]  # noqa: C416


def option(**options: Any) -> object:
    return app.workflow("w").add(number.using(**options).call(1))


WRONG: list[tuple[type[RopewayError], str, Any]] = [
    (BadWorkflow, r"wait for each other: a → b → c → a", circle),
    (BadWorkflow, r"belongs to the workflow 'v', not 'w'", foreign),
    (BadWorkflow, r"has no node 'nubmer'[\s\S]*'number' meant", lambda: _after("nubmer")),
    (BadWorkflow, "has no nodes", lambda: app.workflow("w").built()),
    (BadWorkflow, "nothing to watch", lambda: app.workflow("w").always(none.call())),
    (BadWorkflow, "is there twice", lambda: _signals("a", "a")),
    (BadArguments, "cannot be iterated over", in_the_block),
    (BadArguments, "cannot be tested", lambda: bool(app.workflow("w").add(number.call(1)) and 1)),
    (BadArguments, "is no task", lambda: app.workflow("w").map(lambda x: x, [1])),
    (BadArguments, "does not take one argument", lambda: app.workflow("w").map(two, [1])),
    (BadArguments, "does not take one argument", lambda: app.workflow("w").map(none, [1])),  # type: ignore[arg-type]
    (BadArguments, "no call of a task", lambda: app.workflow("w").add(number)),  # type: ignore[call-overload]
    (BadArguments, "unique", lambda: option(unique=True)),
    (BadArguments, "expires", lambda: option(expires=5)),
    (BadArguments, "early", lambda: option(ack="early")),
    (BadArguments, "store=False", lambda: option(store=False)),
    (BadArguments, "the group is empty", group),
    (BadArguments, "Expected `str`", lambda: _partly(name=5)),
    (NotEncodable, r"\$\.name", lambda: _partly(name=object())),
    (BadArguments, "only in its workflow", lambda: number.send(_node())),
]


def _after(name: str) -> object:
    wf = app.workflow("w")
    wf.add(number.call(1))
    return wf.add(number.call(2), after=name)


def _signals(*names: str) -> object:
    wf = app.workflow("w")
    return [wf.signal(name, str) for name in names]


def _node() -> int:
    return app.workflow("w").add(number.call(1))


def _partly(**named: Any) -> object:
    return total.call([_node()], **named)


@pytest.mark.parametrize(("error", "match", "wrong"), WRONG)
def test_what_cannot_be_is_refused(error: type[RopewayError], match: str, wrong: Any) -> None:
    """With what, where and what to do; and nothing is stored."""
    with pytest.raises(error, match=match):
        wrong()


def test_what_a_node_costs_does_not_grow_with_the_graph() -> None:
    """A node in the middle of 10 and of 2,000 writes as many bytes.

    Broken: messages carry the graph.
    """

    def middle(nodes: int) -> Message:
        wf = app.workflow("w")
        last = wf.add(number.call(1))
        for _ in range(nodes):
            last = wf.add(number.call(last))
        built = wf.built()
        plan = Plan(_record(built, node_id("0" * 36, 0), 0.0), built.specs)
        return plan.own(nodes // 2)

    small, large = (len(msgspec.msgpack.encode(middle(count))) for count in (10, 2_000))
    assert large - small < 24  # numbers of nodes have more digits


async def test_arguments_are_checked_when_they_are_known() -> None:
    """A result that does not fit an annotation puts the node into quarantine, and the run fails."""
    own = Ropeway("memory://")

    @own.task
    async def text() -> Any:
        return "text"

    @own.task
    async def takes(x: int) -> int:
        return x

    wf = own.workflow("w")
    wf.add(takes.call(wf.add(text.call())))
    run = await wf.asend()
    async with own.worker():
        with pytest.raises(RopewayError, match="takes: bad_arguments"):
            await run.aresult(10)
    (node,) = [each for each in (await run.agraph()).nodes if each.name == "takes"]
    assert node.state == "quarantined"
    assert (await own.store.search(Filter(task=takes.name))).jobs[0].message.body == b'{"x":null}'
