"""Tasks with cpu=True: one at a time, in processes that hold nothing else."""

from __future__ import annotations

import os
import signal

import pytest

from ropeway import Ropeway
from ropeway.errors import BadTask
from tests.conftest import Eventually
from tests.worker.rig import Rig, results

WORK = """
@app.task(cpu=True, retries=0)
def turn(mark: str) -> str:
    witness(mark)
    hold()
    witness(mark + "-end")
    return mark

@app.task(retries=0)
async def other(x: int) -> int:
    witness("other")
    return x
"""


def test_each_runs_alone_and_the_others_go_on(rig: Rig, eventually: Eventually) -> None:
    """Two processes run two calls at a time; coroutines run in the child that is theirs."""
    tasks = rig.tasks(WORK)
    jobs = [tasks.turn.send(f"{i}") for i in range(6)]
    worker = rig.worker("--cpu", "2")
    eventually(lambda: len(rig.executions()) == 2)
    assert len(worker.children) == 3
    assert len({each.pid for each in rig.executions()}) == 2
    assert results([tasks.other.send(i) for i in range(20)]) == list(range(20))
    assert [mark for mark in rig.marks() if mark != "other"] == rig.marks()[:2]
    rig.open_gate()
    assert results(jobs) == [f"{i}" for i in range(6)]
    others = {each.pid for each in rig.executions() if each.mark == "other"}
    assert not others & {each.pid for each in rig.executions() if each.mark != "other"}
    assert rig.times_run()[jobs[0].id] == 2  # its start and its end
    assert worker.stop() == 0


def test_without_such_tasks_there_are_no_such_processes(rig: Rig) -> None:
    """An app that has no cpu task has no process for one."""
    tasks = rig.tasks("""
        @app.task
        def add(x: int) -> int:
            return x + 1
    """)
    worker = rig.worker("--cpu", "4")
    assert tasks.add.send(1).result(5) == 2
    assert len(worker.children) == 1


def test_a_process_that_dies_costs_its_call_a_loss_and_no_other(
    rig: Rig, eventually: Eventually
) -> None:
    """Its call runs again, charged; what was held behind it has not started and is not charged."""
    tasks = rig.tasks(WORK)
    jobs = [tasks.turn.send(f"{i}") for i in range(4)]
    rig.worker("--cpu", "1")
    eventually(lambda: len(rig.executions()) == 1)
    os.kill(rig.executions()[0].pid, signal.SIGKILL)
    rig.open_gate()
    assert results(jobs) == [f"{i}" for i in range(4)]
    assert [row.losses for row in rig.rows(jobs)] == [1, 0, 0, 0]


def test_a_coroutine_function_is_refused() -> None:
    """cpu=True on a coroutine function is an error at once, with what to do about it."""
    app = Ropeway("memory://")
    with pytest.raises(BadTask, match=r"turn has cpu=True and is a coroutine function.*\n.*plain"):

        @app.task(cpu=True, name="turn")
        async def turn() -> None: ...
