"""What a person does to jobs, with a worker running: each wish is done once, and heard of."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ropeway import State
from ropeway.errors import JobCancelled
from ropeway.ids import new_id
from ropeway.message import Message
from tests.conftest import Eventually
from tests.worker.rig import Rig, results

WORK = """
@app.task(retries=0)
def once_bad(x: int) -> int:
    witness()
    if current.attempt == 1:
        raise ValueError(x)
    return x

@app.task(retries=0)
async def awork() -> str:
    witness()
    await ahold()
    return "done"
"""


def test_many_hands_revive_each_job_once(rig: Rig, eventually: Eventually) -> None:
    """Several processes and threads that retry the same failures make one run more of each."""
    tasks = rig.tasks(WORK)
    jobs = [tasks.once_bad.send(i) for i in range(200)]
    worker = rig.worker()
    eventually(rig.settled, 20)
    assert rig.states() == {"failed": 200}
    worker.stop()
    command = [sys.executable, "-m", "ropeway", "--url", rig.url]
    retry = [*command, "jobs", "retry", "--filter", "state:failed", "--yes"]
    others = [subprocess.Popen(retry, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    quarantine = tasks.app.quarantine.of(State.FAILED)
    with ThreadPoolExecutor(3) as pool:
        wishes = [pool.submit(quarantine.retry, everything=True) for _ in range(3)]
    done = sum(wish.result().done for wish in wishes)
    done += sum(int(each.communicate(timeout=20)[0]) for each in others)
    assert done == 200
    rig.worker()
    assert results(jobs, 20) == list(range(200))
    assert set(rig.times_run().values()) == {2}
    assert len(rig.times_run()) == 200


def test_who_waits_hears_of_it(rig: Rig, eventually: Eventually) -> None:
    """A caller that waits for a job gets the result of the run that was put right meanwhile."""
    tasks = rig.tasks(WORK)
    job = rig.publish(Message(id=new_id(), task="tasks.once_bad", body=b'{"y": 3}'))
    rig.worker()
    eventually(lambda: job.status() == "quarantined")
    tasks.app.quarantine.edit(job.id, arguments={"x": 3})
    assert job.result(5) == 3
    assert rig.row(job).attempt == 2


def test_a_running_job_is_cancelled(rig: Rig, eventually: Eventually) -> None:
    """Its worker stops it, and whoever waits for its result is told; then it can run after all."""
    tasks = rig.tasks(WORK)
    job = tasks.awork.send()
    rig.worker()
    eventually(lambda: job.status() == "running" and rig.executions())
    told = _raised(lambda: job.result(10))
    assert job.cancel() == "asked"
    assert isinstance(told(), JobCancelled)
    assert job.cancel() == "ended"
    rig.open_gate()
    job.retry()
    assert job.result(5) == "done"
    assert len(rig.executions()) == 2


def test_a_job_that_runs_again_cannot_be_removed(rig: Rig, eventually: Eventually) -> None:
    """Removing is refused while it runs, and forgets it when it has ended."""
    tasks = rig.tasks(WORK)
    job = tasks.awork.send()
    rig.worker()
    eventually(lambda: job.status() == "running")
    with pytest.raises(Exception, match="is running"):
        job.remove()
    rig.open_gate()
    assert job.result(5) == "done"
    job.remove()
    assert rig.states() == {}


def _raised(run: Callable[[], object]) -> Callable[[], BaseException | None]:
    """Run something in a thread; returns what waits for it and returns what it raised."""
    caught: list[BaseException] = []

    def target() -> None:
        try:
            run()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=target)
    thread.start()

    def wait() -> BaseException | None:
        thread.join(15)
        return caught[0] if caught else None

    return wait
