"""Runs of workflows: the newest; and one of them, as a picture and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from ropeway.runs.handle import Graph, NodeView, Run
from ropeway.runs.listing import newest
from ropeway.web.at import At, Shown

_NEWEST = 50
_DRAWN = 150
"""A picture of more nodes than these would show nothing."""

_WIDTH, _HEIGHT, _COLUMN, _ROW = 170, 34, 230, 50


async def workflows(at: At) -> Shown:
    """List the newest runs."""
    now = await at.store.now()
    return Shown(
        template="workflows.html",
        title=at.words("Workflows"),
        values={"runs": await newest(at.store, _NEWEST), "now": now, "newest": _NEWEST},
    )


async def workflow(at: At) -> Shown:
    """Show one run, and how each of its nodes stands."""
    graph: Graph = await Run(at.app, at.params["id"]).agraph()
    return Shown(
        template="workflow.html",
        title=graph.name,
        live=graph.finished is None,
        values={
            "graph": graph,
            "now": await at.store.now(),
            "picture": draw(graph.nodes) if 0 < len(graph.nodes) <= _DRAWN else None,
            "states": Counter(node.state for node in graph.nodes),
        },
    )


class Box(Struct, frozen=True):
    """A node in the picture."""

    node: NodeView
    x: int
    y: int


class Picture(Struct, frozen=True):
    """Nodes in columns, each to the right of all that it waits for."""

    boxes: list[Box]
    edges: list[str]
    width: int
    height: int


def draw(nodes: Sequence[NodeView]) -> Picture:
    """Lay a graph out: nodes are in the order in which they were added, after what they need."""
    depth: dict[str, int] = {}
    for node in nodes:
        depth[node.name] = max((depth.get(each, 0) + 1 for each in node.after), default=0)
    rows = Counter[int]()
    boxes: dict[str, Box] = {}
    for node in nodes:
        column = depth[node.name]
        boxes[node.name] = Box(node, column * _COLUMN + 8, rows[column] * _ROW + 8)
        rows[column] += 1
    edges = [
        _edge(boxes[before], boxes[node.name])
        for node in nodes
        for before in node.after
        if before in boxes
    ]
    width = max(depth.values(), default=0) * _COLUMN + _WIDTH + 16
    return Picture(list(boxes.values()), edges, width, max(rows.values(), default=1) * _ROW + 8)


def _edge(start: Box, end: Box) -> str:
    x1, y1, x2, y2 = start.x + _WIDTH, start.y + _HEIGHT // 2, end.x, end.y + _HEIGHT // 2
    bend = max(24, (x2 - x1) // 2)
    return f"M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
