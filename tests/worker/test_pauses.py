"""A paused queue rests: no worker claims from it, old or new, until it is resumed."""

from __future__ import annotations

from typing import Any

from ropeway.pauses import pause, resume
from ropeway.results import Job
from ropeway.stepping import step
from tests.conftest import Eventually
from tests.worker.rig import Rig, results

TASKS = """
@app.task
def number(x: int) -> int:
    witness()
    return x

@app.task(queue="mail")
def held() -> str:
    witness("started")
    hold()
    return "done"
"""


def test_a_paused_queue_rests_until_it_is_resumed(rig: Rig, eventually: Eventually) -> None:
    """A worker hears of it soon, one that starts later at once; other queues go on."""
    tasks = rig.tasks(TASKS)
    store = tasks.app.connection.blocking()
    first = rig.worker()
    mail: list[Job[Any]] = []

    def rests() -> bool:
        """Whether a job stays that is older than one of another queue that was done."""
        mail.append(tasks.number.using(queue="mail").send(1))
        assert tasks.number.send(0).result(10) == 0
        return rig.row(mail[-1]).attempt == 0

    step(pause(store, "mail", by="a test"))
    eventually(rests, 5)
    still = [tasks.number.using(queue="mail").send(2) for _ in range(20)]
    assert results([tasks.number.send(3) for _ in range(20)]) == [3] * 20
    assert first.stop() == 0
    rig.worker()
    assert results([tasks.number.send(4) for _ in range(20)]) == [4] * 20
    assert {rig.row(job).attempt for job in still} == {0}
    step(resume(store, "mail"))
    assert results(still) == [2] * 20
    eventually(rig.settled)
    assert set(rig.times_run().values()) == {1}


def test_what_runs_goes_on_and_a_worker_of_paused_queues_stops_well(
    rig: Rig, eventually: Eventually
) -> None:
    """A pause ends no run, and a worker with nothing to claim from is no busy one."""
    tasks = rig.tasks(TASKS)
    store = tasks.app.connection.blocking()
    worker = rig.worker("-Q", "mail")
    running = tasks.held.send()
    eventually(lambda: rig.marks() == ["started"])
    step(pause(store, "mail", by="a test"))
    rig.open_gate()
    assert running.result(10) == "done"
    assert worker.stop() == 0
