"""Workers are killed at the boundaries of settles, messages come twice, answers are lost."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ropeway import RetryPolicy, Ropeway, Run
from ropeway.graph import node_id
from ropeway.message import JobRecord
from ropeway.states import State
from ropeway.testing.faults import Fault
from tests.worker.rig import Rig, opened

WIDE = int(os.environ.get("WORKFLOW_WIDE", "500"))
"""Items of the wide map; `make test` has few of them, for each worker has to start."""

DEATHS = int(os.environ.get("WORKFLOW_DEATHS", "3"))
"""After which nobody is killed any more: what was abandoned twice runs alone, and takes its time."""

TASKS = """
# A node that happens to run at several deaths is not to blame.
patient = RetryPolicy(retries=20, max_losses=1000)

@app.task(retries=patient)
async def plus(before: list[int]) -> int:
    witness()
    return sum(before) % 1_000_003 + 1

@app.task(retries=patient)
async def numbers(n: int) -> list[int]:
    return list(range(n))

@app.task(retries=patient)
async def double(x: int) -> int:
    return 2 * x

@app.task
def seen(parts: list[int]) -> list[int]:
    return parts
"""


def layered(app: Ropeway, plus: Any, layers: int = 10, width: int = 20) -> tuple[Any, int]:
    """Build a DAG in layers, of which each node waits for three of the layer before.

    Returns it with the result that it has if every edge brings its value exactly once.
    """
    chance, wf = random.Random(7), app.workflow("layers")
    nodes = [wf.add(plus.call([])) for _ in range(width)]
    values = [1] * width
    for _ in range(layers - 1):
        picked = [chance.sample(range(width), 3) for _ in range(width)]
        nodes = [wf.add(plus.call([nodes[each] for each in some])) for some in picked]
        values = [sum(values[each] for each in some) % 1_000_003 + 1 for some in picked]
    wf.add(plus.call(nodes))
    return wf, sum(values) % 1_000_003 + 1


def survive(
    rig: Rig,
    run: Run[Any],
    within: int,
    timeout: float,
    deaths: int = DEATHS,
    points: Sequence[str] = (),
) -> tuple[Any, int]:
    """Have workers that are killed, one after the other, work until the run is over.

    Each dies at one of the `points`, then at one of so many boundaries, picked by chance. Returns the
    result, and how many were killed: at the points, and at most so many `deaths`.
    """
    command = [sys.executable, "-m", "tests.workflows.mortal", "tasks:app", "--children", "1"]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    deadline, killed = time.monotonic() + timeout, 0
    deaths += len(points)
    process: subprocess.Popen[bytes] | None = None
    with (rig.folder / "mortal.log").open("wb") as log:
        try:
            while run.status() == "running" or not rig.settled() or died(rig) < len(points):
                assert time.monotonic() < deadline, run.graph()
                if process is None or process.poll() is not None:
                    killed += process is not None
                    environment["MORTAL_AT"] = points[killed] if killed < len(points) else ""
                    by_chance = len(points) <= killed < deaths
                    environment["MORTAL_WITHIN"] = str(within if by_chance else 10**9)
                    process = subprocess.Popen(
                        command, cwd=rig.folder, env=environment, stderr=log, stdout=log
                    )
                time.sleep(0.02)
        finally:
            if process is not None:
                process.kill()
                process.wait()
    return run.result(1), killed


def died(rig: Rig) -> int:
    """Return how many died at their point."""
    notes = rig.folder / "died"
    return len(notes.read_text().splitlines()) if notes.exists() else 0


def settled_once(run: Run[Any], records: list[JobRecord]) -> None:
    """Each job of the run is there once, and has succeeded."""
    ids = [each.message.id for each in records]
    assert len(ids) == len(set(ids))
    assert {each.state for each in records} == {State.SUCCEEDED}
    assert all(each.message.id.startswith(run.id[:24]) for each in records)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    """Return a place for tasks and workers; everything that is started there ends with the test."""
    with opened(tmp_path, monkeypatch, request) as rig:
        yield rig


def test_a_graph_survives_its_workers(rig: Rig) -> None:
    """Of 201 nodes in layers each succeeds once, and each edge brings its value once.

    Broken: a node is lost between its end and what follows, or something follows twice.
    """
    module = rig.tasks(TASKS)
    wf, wanted = layered(module.app, module.plus)
    run = wf.send()
    result, killed = survive(rig, run, within=6, timeout=20 + 10 * DEATHS)
    assert result[-1] == wanted  # the others are nodes that nobody picked
    assert killed >= 2
    settled_once(run, rig.jobs())
    assert len(rig.jobs()) == 201 + 1
    assert len(rig.times_run()) == 201


def test_a_wide_map_survives_its_workers(rig: Rig) -> None:
    """The reduce sees each item exactly once and in order, whoever expanded the map to where.

    Broken: an item is lost, or doubled, where an expansion was cut off; or the reduce comes early.
    """
    module = rig.tasks(TASKS)
    with module.app.workflow("wide") as wf:
        wf.add(module.seen.call(wf.map(module.double, wf.add(module.numbers.call(WIDE)))))
    run = wf.send()
    result, killed = survive(rig, run, within=6 + WIDE // 250, timeout=50 + WIDE / 20)
    assert result == [2 * n for n in range(WIDE)]
    assert killed >= 2
    settled_once(run, rig.jobs())
    assert len(rig.jobs()) == WIDE + 5


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        ("killed_after", 60),
        ("machine_lost", 60),
        ("lease_lost", 60),
        ("repeated", 1_000),
        ("reply_lost", 3),
        ("request_lost", 3),
    ],
)
def test_every_fault_at_every_node(fault: Fault, times: int) -> None:
    """Whatever happens to each attempt, or to each commit, the outcome is the same.

    Broken: a run hangs, a node runs again after its end, or a value arrives twice.
    """
    app = Ropeway("memory://")
    ran: list[str] = []
    patient = RetryPolicy(retries=5, max_losses=100)

    @app.task(retries=patient)
    async def plus(before: list[int]) -> int:
        ran.append("plus")
        return sum(before) % 1_000_003 + 1

    @app.task(retries=patient)
    async def double(x: int) -> int:
        return 2 * x

    with app.testing() as sandbox:
        wf, wanted = layered(app, plus, layers=4, width=6)
        wf.add(plus.call(wf.map(double, list(range(20)))))
        run = wf.send()
        sandbox.inject(fault, times=times)
        sandbox.run_all()
        assert run.result(1) == [wanted, 381]
        assert run.status() == "succeeded"
        found = [app.job(node_id(run.id, number)).record() for number in range(27)]
        assert {each.state for each in found} == {State.SUCCEEDED}
        if fault in {"reply_lost", "request_lost", "repeated"}:
            assert len(ran) == 26
