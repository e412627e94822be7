"""Workers are killed at each point of a run, wherever the jobs are kept and the messages are carried."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worker.rig import Rig, opened
from tests.workflows.mortal import POINTS as ALL
from tests.workflows.test_deaths import TASKS, layered, settled_once, survive

WIDE = int(os.environ.get("WORKFLOW_WIDE", "200"))
LAYERS = int(os.environ.get("WORKFLOW_LAYERS", "3"))
BY_CHANCE = "WORKFLOW_DEATHS" in os.environ
"""Workers that are killed by chance are for whoever has the time: 10000, 10 and 20 were measured."""

POINTS = tuple(
    os.environ.get("WORKFLOW_POINTS", "").split(",")
    if "WORKFLOW_POINTS" in os.environ
    else (
        "in page",
        "after page",
        "before settle",
        "in arrive",
        "after arrive",
        "after close",
        "after end",
    )
)
"""What `make test` can pay for; `mortal.POINTS` has all."""

PAGES = """
from ropeway.workflows import steps
steps.ITEMS = 10
"""


@pytest.fixture(params=["sqlite", "postgres", "valkey", "rabbitmq"])
def rig(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rig]:
    """Return a place for tasks and workers whose jobs are kept on a server."""
    with opened(tmp_path, monkeypatch, request) as rig:
        match request.param:
            case "postgres":
                rig.url = request.getfixturevalue("postgres_url")
            case "valkey":
                namespace = f"flow{os.getpid()}{id(rig)}"
                url = request.getfixturevalue("valkey").url
                rig.url = f"{url}{'&' if '?' in url else '?'}namespace={namespace}"
            case "rabbitmq":
                broker = request.getfixturevalue("rabbitmq").url
                rig.url = f"sqlite:///{tmp_path / 'jobs.db'}"
                rig.set(broker=broker)
        rig.set(url=rig.url)
        yield rig


@pytest.mark.timeout(300)
def test_a_death_at_every_point(rig: Rig) -> None:
    """Each node succeeds once, each edge brings its value once, and the reduce sees each item once.

    Broken: the settle and what follows from it are two steps; a page of a map is sent twice, or left
    out; or the end of a run is lost between its record and its job.
    """
    module = rig.tasks(TASKS + PAGES)
    points = POINTS if POINTS != ("all",) else ALL
    wf, wanted = layered(module.app, module.plus, layers=8, width=3)
    items = wf.map(module.double, wf.add(module.numbers.call(35)))
    wf.add(module.seen.call(items), name="seen")
    run = wf.send()
    result, _ = survive(rig, run, within=0, timeout=60 + 20 * len(points), deaths=0, points=points)
    assert result == [wanted, [2 * n for n in range(35)]]
    assert (rig.folder / "died").read_text().splitlines() == list(points)
    settled_once(run, rig.jobs())
    assert len(rig.jobs()) == 25 + (35 + 4) + 1
    if BY_CHANCE:
        _deaths_by_chance(rig, module)


def _deaths_by_chance(rig: Rig, module: Any) -> None:
    """The same of a large graph, and a wide map."""
    before = len(rig.jobs())
    wf, wanted = layered(module.app, module.plus, layers=LAYERS)
    graph = wf.send()
    result, by_graph = survive(rig, graph, within=6, timeout=100 + 20 * LAYERS)
    assert (result[-1], by_graph >= 1) == (wanted, True)
    with module.app.workflow("wide") as wf:
        wf.add(module.seen.call(wf.map(module.double, wf.add(module.numbers.call(WIDE)))))
    wide = wf.send()
    result, by_map = survive(rig, wide, within=6 + WIDE // 250, timeout=100 + WIDE / 10)
    assert (result, by_map >= 1) == ([2 * n for n in range(WIDE)], True)
    found = rig.jobs()
    settled_once(graph, [each for each in found if graph.id < each.message.id < wide.id])
    settled_once(wide, [each for each in found if each.message.id >= wide.id])
    assert len(found) == before + (20 * LAYERS + 1 + 1) + (WIDE + 5)
    print(f"killed: {by_graph} in {20 * LAYERS + 2} nodes, {by_map} in {WIDE + 5}")
