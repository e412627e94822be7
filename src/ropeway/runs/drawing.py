"""A graph in text: for a terminal, for Mermaid and for Graphviz; and how far it is, in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ropeway.runs.handle import Graph, NodeView

MARKS = {
    "waiting": "·",
    "queued": "○",
    "running": "◐",
    "succeeded": "✓",
    "failed": "✕",
    "cancelled": "⊘",
    "expired": "✕",
    "quarantined": "✕",
    "skipped": "-",
}
_COLOURS = {
    "running": "#fff3bf",
    "succeeded": "#d3f9d8",
    "failed": "#ffc9c9",
    "expired": "#ffc9c9",
    "quarantined": "#ffc9c9",
    "cancelled": "#dee2e6",
    "skipped": "#f1f3f5",
}


def ascii_lines(graph: Graph) -> Iterator[str]:
    """Yield a line for each node: its mark, its name, what it waits for, and why it did not run."""
    width = max((len(_label(node)) for node in graph.nodes), default=0)
    for node in graph.nodes:
        before = f"  ← {', '.join(node.after)}" if node.after else ""
        reason = f"  ({node.reason})" if node.reason else ""
        name = _label(node).ljust(width) if before or reason else _label(node)
        yield f"{MARKS[node.state]} {name}{before}{reason}"


def mermaid_lines(graph: Graph) -> Iterator[str]:
    """Yield the graph as a flowchart of Mermaid."""
    yield "flowchart LR"
    numbers = {node.name: number for number, node in enumerate(graph.nodes, 1)}
    for node in graph.nodes:
        yield f'    n{numbers[node.name]}["{_quoted(_label(node))}"]:::{node.state}'
        for each in node.after:
            yield f"    n{numbers[each]} --> n{numbers[node.name]}"
    for state, colour in _COLOURS.items():
        yield f"    classDef {state} fill:{colour}"


def dot_lines(graph: Graph) -> Iterator[str]:
    """Yield the graph for Graphviz."""
    yield f'digraph "{_quoted(graph.name)}" {{'
    yield "    rankdir=LR; node [shape=box, style=filled, fillcolor=white];"
    numbers = {node.name: number for number, node in enumerate(graph.nodes, 1)}
    for node in graph.nodes:
        colour = _COLOURS.get(node.state, "white")
        label = _quoted(_label(node))
        yield f'    n{numbers[node.name]} [label="{label}", fillcolor="{colour}"];'
        for each in node.after:
            yield f"    n{numbers[each]} -> n{numbers[node.name]};"
    yield "}"


def progress_line(graph: Graph) -> str:
    """Say how far a run is: how many nodes have ended, and what the others do."""
    counts = Counter(node.state for node in graph.nodes)
    open_ones = counts["waiting"] + counts["queued"] + counts["running"]
    told = [f"{len(graph.nodes) - open_ones}/{len(graph.nodes)} nodes"]
    told += [
        f"{counts[state]} {state}"
        for state in ("running", "queued", "waiting", "failed", "quarantined", "cancelled")
        if counts[state]
    ]
    items = sum(node.items or 0 for node in graph.nodes)
    told += [f"{items} items"] if items else []
    return f"{graph.name} {graph.state}: {', '.join(told)}"


def _label(node: NodeView) -> str:
    return node.name if node.items is None else f"{node.name}[{node.items}]"


def _quoted(text: str) -> str:
    return text.replace("\\", "/").replace('"', "'")
