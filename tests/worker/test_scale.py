"""The number of children follows the load, and several supervisors are one worker."""

from __future__ import annotations

from tests.conftest import Eventually
from tests.worker.rig import Rig, results

WORK = """
@app.task(retries=0)
def work(x: int) -> int:
    witness()
    hold()
    return x
"""


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
