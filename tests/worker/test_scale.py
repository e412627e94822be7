"""The number of children follows the load, and several supervisors are one worker."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.conftest import Eventually
from tests.worker.rig import Rig, Worker, alive, children_of, results

WORK = """
@app.task(retries=0)
def work(x: int) -> int:
    witness()
    hold()
    return x
"""


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_more_children_come_when_jobs_are_late(rig: Rig, eventually: Eventually) -> None:
    """One child at first, and as many as are allowed when nobody else would take the jobs."""
    tasks = rig.tasks(WORK)
    worker = rig.worker("--min", "1", "--max", "3", "--threads", "1")
    assert len(worker.children) == 1
    jobs = [tasks.work.send(i) for i in range(5)]
    eventually(lambda: len(rig.executions()) == 3, 20)
    assert len(worker.children) == 3
    assert len({each.pid for each in rig.executions()}) == 3
    rig.open_gate()
    assert results(jobs) == list(range(5))
    assert set(rig.times_run().values()) == {1}
    assert worker.stop() == 0


def test_a_fixed_number_and_limits_do_not_go_together(rig: Rig) -> None:
    """It is said at once, with the reason."""
    rig.tasks(WORK)
    worker = rig.worker("--children", "2", "--max", "3", ready=False)
    assert worker.wait() == 2
    assert "goes with neither --min nor --max" in worker.said()


# -- several supervisors ---------------------------------------------------------------------------


def supervisors(rig: Rig, worker: Worker, count: int, eventually: Eventually) -> list[int]:
    """Wait until each of so many supervisors has a child that takes calls; returns their pids."""
    eventually(lambda: worker.said().count("serving every queue") >= count)
    found = eventually(lambda: len(worker.children) == count and worker.children)
    assert found
    return found


def test_several_supervisors_are_one_worker(rig: Rig, eventually: Eventually) -> None:
    """They share the work; one signal stops them all, and the exit code is that of the worst."""
    tasks = rig.tasks(WORK)
    worker = rig.worker("--supervisors", "2", "--threads", "2")
    pids = supervisors(rig, worker, 2, eventually)
    jobs = [tasks.work.send(i) for i in range(4)]
    eventually(lambda: len(rig.executions()) == 4)
    assert {parent_of(each.pid) for each in rig.executions()} == set(pids)
    worker.signal(signal.SIGTERM)
    eventually(lambda: worker.said().count("stopping") >= 2)
    assert worker.process.poll() is None
    rig.open_gate()
    assert worker.wait() == 0
    assert results(jobs) == [0, 1, 2, 3]
    assert {row.attempt for row in rig.rows()} == {1}


def test_the_worst_exit_code_counts(rig: Rig, eventually: Eventually) -> None:
    """One that has to give a job back says so, whatever the others say."""
    tasks = rig.tasks(WORK)
    worker = rig.worker("--supervisors", "2")
    supervisors(rig, worker, 2, eventually)
    tasks.work.send(1)
    eventually(lambda: len(rig.executions()) == 1)
    worker.signal(signal.SIGQUIT)
    assert worker.wait() == 11


def test_a_supervisor_that_dies_is_replaced(rig: Rig, eventually: Eventually) -> None:
    """Its jobs run elsewhere, another takes its place, and no child of it is left."""
    tasks = rig.tasks(WORK)
    worker = rig.worker("--supervisors", "2", "--threads", "4")
    pids = supervisors(rig, worker, 2, eventually)
    jobs = [tasks.work.send(i) for i in range(8)]
    eventually(lambda: len(rig.executions()) == 8)
    orphans = children_of(pids[0])
    os.kill(pids[0], signal.SIGKILL)
    eventually(lambda: not any(map(alive, orphans)))
    eventually(lambda: len(worker.children) == 2 and pids[0] not in worker.children)
    rig.open_gate()
    assert results(jobs, 20) == list(range(8))
    assert worker.stop() == 0


def test_without_the_parent_they_stop_in_order(rig: Rig, eventually: Eventually) -> None:
    """When the parent is killed its supervisors let what runs finish, and then they are gone."""
    tasks = rig.tasks(WORK)
    worker = rig.worker("--supervisors", "2", "--threads", "4")
    pids = supervisors(rig, worker, 2, eventually)
    jobs = [tasks.work.send(i) for i in range(8)]
    eventually(lambda: len(rig.executions()) == 8)
    worker.signal(signal.SIGKILL)
    worker.wait()
    eventually(lambda: worker.said().count("stopping") >= 2)
    assert all(map(alive, pids))
    rig.open_gate()
    eventually(lambda: not any(map(alive, pids)))
    assert results(jobs) == list(range(8))
    assert {row.attempt for row in rig.rows()} == {1}


def test_an_app_that_cannot_be_imported_ends_them_all(rig: Rig) -> None:
    """The exit code is that of the import; nothing is tried for ever."""
    rig.write("raise ImportError('no such thing')")
    worker = rig.worker("--supervisors", "3", ready=False)
    assert worker.wait() == 1
    assert "no such thing" in worker.said()
