"""Runs in a shell: listed, drawn, watched, and told what to do."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ropeway import Ropeway, Run
from tests.cli.support import call


class Orders:
    """An app whose one workflow fails at first, and then waits for an approval."""

    def __init__(self, url: str) -> None:
        self.app = app = Ropeway(url)
        self.bad = True

        @app.task(retries=0)
        async def check(n: int) -> int:
            if self.bad and n == 2:
                raise ValueError('"no" such item')
            return n

        @app.task
        async def ship(parts: list[int], by: str) -> str:
            return f"{sum(parts)} by {by}"

        with app.workflow("order") as wf:
            parts = wf.map(check, [1, 2, 3], name="check")
            by = wf.signal("approved", str, after=[wf.node(parts)])
            wf.add(ship.call(parts, by))
        self.run = wf.send()

    def work(self, *, until: str = "") -> None:
        """Work until the run is over, or a node stands as `until` says."""

        async def working() -> None:
            async with self.app.worker():
                async for graph in self.run.awatch(20):
                    if any(f"{node.name} {node.state}" == until for node in graph.nodes):
                        return

        asyncio.run(working())


@pytest.fixture
def orders(here: Path) -> Orders:
    """Return a run that was sent."""
    return Orders(f"sqlite:///{here / '.ropeway' / 'ropeway.db'}")


def told(*words: str) -> Any:
    """Run a command, and return what it prints as JSON."""
    found = call("workflows", *words, "-o", "json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def test_a_run_from_failure_to_success(orders: Orders) -> None:
    """It is listed and shown with its cause, goes on from it, is told something, and watched."""
    start, run = orders.run.id[:30], orders.run
    orders.work()
    (listed,) = told("ls", "order", "--state", "failed")
    assert (listed["id"], listed["nodes"], listed["turn"]) == (run.id, 3, 1)
    assert told("ls", "other") == []
    shown = call("workflows", "show", start).stdout
    assert [" ".join(line.split()) for line in shown.splitlines()[1:]] == [
        "order failed: 3/3 nodes, 1 failed, 2 cancelled, 3 items",
        "",
        "✕ check[3] (1 of 3 items failed)",
        "⊘ approved ← check (check has failed items)",
        "⊘ ship ← check, approved (check has failed items)",
    ]
    watched = call("workflows", "watch", start)
    assert watched.exit_code == 5 and 'check[1]: ValueError: "no" such item' in watched.stderr
    assert call("workflows", "retry", start, "--from", "chek").exit_code == 2
    orders.bad = False
    assert call("workflows", "retry", start).exit_code == 0
    assert call("workflows", "pause", start).exit_code == 0
    assert call("workflows", "pause", start).exit_code == 9
    assert told("ls")[0]["state"] == "paused"
    assert call("workflows", "resume", start).exit_code == 0
    orders.work(until="approved running")
    assert call("workflows", "signal", start, "aproved").exit_code == 2
    assert call("workflows", "signal", start, "approved", "ann").exit_code == 0
    assert call("workflows", "signal", start, "approved", "bob").exit_code == 9
    orders.work()
    assert run.result(0) == "6 by ann"
    assert call("workflows", "watch", start).exit_code == 0
    deeds = json.loads(call("audit", "-o", "json").stdout)
    assert {each["action"] for each in deeds} >= {"workflows.retry", "workflows.signal"}


def test_a_graph_is_drawn(orders: Orders) -> None:
    """As lines, for Mermaid and for Graphviz; text of users cannot break out of its quotes."""
    orders.work()
    start = orders.run.id
    lines = call("workflows", "graph", start).stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["✕", "check[3]"],
        ["⊘", "approved"],
        ["⊘", "ship"],
    ]
    mermaid = call("workflows", "graph", start, "--format", "mermaid").stdout
    assert 'n1["check[3]"]:::failed' in mermaid and "n1 --> n2" in mermaid
    dot = call("workflows", "graph", start, "--format", "dot").stdout
    assert dot.startswith('digraph "order" {') and "n2 -> n3;" in dot


def test_a_run_is_cancelled_once(orders: Orders) -> None:
    """A second time there is nothing left to cancel, and nobody is found who is not there."""
    assert call("workflows", "cancel", orders.run.id).exit_code == 0
    assert call("workflows", "cancel", orders.run.id).exit_code == 9
    assert told("show", orders.run.id)["state"] == "cancelled"
    assert call("workflows", "show", "00000000").exit_code == 6


def test_newest_first(orders: Orders) -> None:
    """The list begins with what was sent last, and is as long as asked."""
    sent = [orders.run, *(Run[Any](orders.app, _again(orders)) for _ in range(3))]
    ids = [each["id"] for each in told("ls", "-n", "3")]
    assert ids == [run.id for run in sent[::-1]][:3]


def _again(orders: Orders) -> str:
    wf = orders.app.workflow("other")
    wf.add(orders.app.tasks[next(iter(orders.app.tasks))].call(1))
    return wf.send().id
