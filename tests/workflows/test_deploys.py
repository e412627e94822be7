"""A deploy in the middle of a run: a later node's task is gone, or takes other arguments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ropeway import Run
from tests.conftest import Eventually
from tests.worker.rig import Rig, opened

FIRST = """
@app.task
def first() -> int:
    witness("first")
    hold()
    return 20

@app.task
def last(x: int) -> int:
    return x + 1
"""

LATER = """
@app.task
def later(x: int) -> int:
    return 2 * x
"""

CHANGED = """
@app.task(retries=0)
def later(y: int, more: str) -> int:
    return y
"""


@pytest.fixture
def rig(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a place for tasks and workers; everything that is started there ends with the test."""
    with opened(tmp_path, monkeypatch, request) as rig:
        rig.set(unknown_grace="300ms")
        yield rig


def told(rig: Rig, *words: str) -> str:
    """Return what a command prints, on whatever it prints it."""
    done = subprocess.run(
        [sys.executable, "-m", "ropeway", *words],
        cwd=rig.folder,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def states(run: Run[Any]) -> dict[str, str]:
    """Return the state of each node by its name."""
    return {each.name: each.state for each in run.graph().nodes}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("new", ["", CHANGED])
def test_a_node_that_the_new_code_does_not_know(rig: Rig, eventually: Eventually, new: str) -> None:
    """It is parked with the reason, seen in the run and by `why`; the code back, the run goes on.

    Broken: the node is lost with the deploy, runs with wrong arguments, ends the worker that has it,
    or what was done before it is done again.
    """
    module = rig.tasks(FIRST + LATER)
    with module.app.workflow("sum") as wf:
        wf.add(module.last.call(wf.add(module.later.call(wf.add(module.first.call())))))
    run = wf.send()
    old = rig.worker()
    eventually(lambda: rig.marks() == ["first"], 30)
    rig.write(FIRST + new)
    worker = rig.worker()  # the deploy: the new one is there, and the old one ends what it has
    old.signal(15)
    eventually(lambda: "stopping" in old.said(), 30)
    rig.open_gate()
    assert old.wait() == 0
    eventually(lambda: run.status() == "failed", 30)
    assert states(run) == {"first": "succeeded", "later": "quarantined", "last": "cancelled"}
    (parked,) = (each for each in run.graph().nodes if each.name == "later")
    reason = (
        "bad_arguments: tasks.later: " if new else "unknown_task: no task is called 'tasks.later'"
    )
    assert parked.reason.startswith(reason)
    for words in (("workflows", "show", run.id), ("jobs", "show", parked.job_id)):
        shown = told(rig, *words)
        assert "quarantine" in shown, shown
        assert parked.reason.partition(":")[0] in shown, shown
    # The worker is none the worse for it, and other runs of the new code too.
    assert module.last.send(1).result(30) == 2
    rig.write(FIRST + LATER)
    rig.worker()
    assert worker.stop() == 0
    run.retry()
    assert run.result(30) == 41
    assert rig.marks() == ["first"]
