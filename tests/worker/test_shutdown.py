"""A worker that is asked to stop loses nothing, charges nothing, and says what it gave back."""

from __future__ import annotations

import os
import signal
from collections import Counter
from random import Random

import pytest

from tests.conftest import Eventually
from tests.worker.rig import Rig, Worker, alive, results

SLOW = """
@app.task
def slow(mark: str) -> str:
    witness(mark)
    hold()
    witness(mark + "-end")
    return mark

@app.task
async def aslow(mark: str) -> str:
    witness(mark)
    await ahold()
    witness(mark + "-end")
    return mark
"""


def test_running_jobs_finish_and_the_rest_goes_back(rig: Rig, eventually: Eventually) -> None:
    """What runs at a stop finishes; what was held unstarted goes back uncharged to its place."""
    tasks = rig.tasks(SLOW)
    jobs = [tasks.slow.send(f"{i}") for i in range(40)]
    places = [row.due for row in rig.rows()]
    worker = rig.worker("--threads", "4")
    eventually(lambda: len(rig.executions()) == 4)
    worker.signal(signal.SIGTERM)
    eventually(lambda: rig.states() == {"running": 4, "queued": 36})
    assert worker.process.poll() is None
    rig.open_gate()
    assert worker.wait() == 0
    rows = rig.rows(jobs)
    assert [row.state for row in rows] == ["succeeded"] * 4 + ["queued"] * 36
    assert {(row.failures, row.losses) for row in rows} == {(0, 0)}
    assert all(row.attempt == row.releases for row in rows[4:])
    assert [row.due for row in rows] == places
    assert set(rig.times_run()) == {job.id for job in jobs[:4]}


def test_what_the_last_claim_brings_goes_back(rig: Rig, eventually: Eventually) -> None:
    """A claim that is on its way at a stop may bring something: it is for the other workers."""
    tasks = rig.tasks(SLOW)
    running = tasks.slow.send("running")
    worker = rig.worker()
    eventually(lambda: rig.marks() == ["running"])
    worker.signal(signal.SIGTERM)
    eventually(lambda: "stopping" in worker.said())
    late = tasks.slow.send("late")
    rig.open_gate()
    assert worker.wait() == 0
    assert running.result(1) == "running"
    row = rig.row(late)
    assert (row.state, row.attempt) == ("queued", row.releases)
    assert "late" not in rig.marks()


def test_leases_are_renewed_while_stopping(rig: Rig, eventually: Eventually) -> None:
    """Jobs that take longer than a lease to finish after the stop are not handed to another worker."""
    tasks = rig.tasks("""
        @app.task
        def long() -> None:
            witness()
            time.sleep(1.5)
    """)
    job = tasks.long.send()
    worker = rig.worker()
    eventually(lambda: len(rig.executions()) == 1)
    worker.signal(signal.SIGTERM)
    rig.worker()
    assert worker.wait() == 0
    row = rig.row(job)
    assert (row.state, row.attempt, row.releases) == ("succeeded", 1, 0)
    assert len(rig.executions()) == 1


def test_restarts_under_load_lose_nothing(rig: Rig, eventually: Eventually) -> None:
    """Workers that are stopped ten times, anywhere between two instants, run each job once."""
    tasks = rig.tasks("""
        @app.task(retries=0)
        def work(x: int) -> int:
            witness()
            time.sleep(0 if gate() else 0.002)
            return x

        @app.task(retries=0)
        async def awork(x: int) -> int:
            witness()
            await asyncio.sleep(0 if gate() else 0.004)
            return x
    """)
    random = Random(13)
    calls = [(tasks.awork if i % 2 else tasks.work).call(i) for i in range(4000)]
    jobs = tasks.app.send_many(calls)
    places = {row.id: row.due for row in rig.rows()}
    for _ in range(10):
        wanted = len(rig.executions()) + random.randrange(1, 150)
        worker = rig.worker("--threads", "2", "--loop-slots", "3", ready=False)
        eventually(lambda: len(rig.executions()) >= wanted)  # noqa: B023  it is called at once
        assert worker.stop() == 0
        assert set(rig.states()) <= {"queued", "succeeded"}
        for row in rig.rows():
            assert (row.failures, row.losses) == (0, 0)
            assert row.due == places[row.id]
    rig.open_gate()
    rig.worker("--children", "2")
    eventually(rig.settled, 12)
    assert results(jobs, 5) == list(range(4000))
    assert rig.times_run() == Counter(job.id for job in jobs)


def test_a_stop_at_any_instant_of_the_start(rig: Rig, eventually: Eventually) -> None:
    """A stop before, at or after the first claim ends the worker at once and holds no job."""
    tasks = rig.tasks("""
        @app.task
        def work(x: int) -> int:
            witness()
            time.sleep(0 if gate() else 0.002)
            return x
    """)
    jobs = tasks.app.send_many(tasks.work.call(i) for i in range(3000))
    for moment in ("a child", "its name", "a job") * 3:
        before = len(rig.executions())
        worker = rig.worker(ready=False)
        reached = {
            "a child": lambda: worker.children,  # noqa: B023  it is called at once
            "its name": lambda: "serving" in worker.said(),  # noqa: B023
            "a job": lambda: len(rig.executions()) > before,  # noqa: B023
        }[moment]
        eventually(reached)
        assert worker.stop(5) == 0, moment
        assert rig.states()["running"] == 0
        assert "error" not in worker.said()
    rig.open_gate()
    rig.worker()
    eventually(rig.settled)
    assert results(jobs, 2) == list(range(3000))
    assert rig.times_run() == Counter(job.id for job in jobs)


def test_what_outlasts_the_grace_is_given_back(rig: Rig, eventually: Eventually) -> None:
    """After the grace running jobs are ended and given back, free of charge, with exit code 11."""
    rig.set(grace="300ms")
    tasks = rig.tasks(SLOW)
    jobs = [tasks.slow.send("a"), tasks.aslow.send("b")]
    worker = rig.worker()
    eventually(lambda: sorted(rig.marks()) == ["a", "b"])
    assert worker.stop() == 11
    for row in rig.rows(jobs):
        assert (row.state, row.releases, row.failures, row.losses) == ("queued", 1, 0, 0)
    assert "2 handed back" in worker.said()
    rig.open_gate()
    rig.worker()
    assert results(jobs) == ["a", "b"]
    assert sorted(rig.marks()) == ["a", "a", "a-end", "b", "b", "b-end"]
    assert {row.attempt for row in rig.rows(jobs)} == {2}


@pytest.mark.parametrize(
    "signals",
    [
        [signal.SIGINT, signal.SIGTERM],
        [signal.SIGTERM, signal.SIGQUIT],
        [signal.SIGQUIT],
    ],
)
def test_a_second_signal_does_not_wait(
    rig: Rig, eventually: Eventually, signals: list[signal.Signals]
) -> None:
    """A second signal, or SIGQUIT, gives running jobs back at once, when they are surely dead."""
    tasks = rig.tasks(SLOW)
    jobs = [tasks.slow.send("a"), tasks.aslow.send("b")]
    worker = rig.worker()
    eventually(lambda: sorted(rig.marks()) == ["a", "b"])
    children = worker.children
    for number in signals[:-1]:
        worker.signal(number)
        eventually(lambda: "stopping" in worker.said())
        assert worker.process.poll() is None
    worker.signal(signals[-1])
    assert worker.wait(2) == 11
    assert not any(map(alive, children))
    for row in rig.rows(jobs):
        assert (row.state, row.releases, row.failures, row.losses) == ("queued", 1, 0, 0)
    assert sorted(rig.marks()) == ["a", "b"]


def _signal_group(worker: Worker, number: int) -> None:
    """Do what a terminal does at Ctrl-C: to the worker's process group, not to our own."""
    mine = os.getpgid(0)
    for pid in worker.tree:
        if os.getpgid(pid) == mine:
            os.kill(pid, number)


def test_ctrl_c_lets_running_jobs_finish(rig: Rig, eventually: Eventually) -> None:
    """SIGINT to the process group, as a terminal sends it, does not end the children."""
    tasks = rig.tasks(SLOW)
    jobs = [tasks.slow.send("a"), tasks.aslow.send("b")]
    worker = rig.worker()
    eventually(lambda: len(rig.executions()) == 2)
    _signal_group(worker, signal.SIGINT)
    eventually(lambda: "stopping" in worker.said())
    rig.open_gate()
    assert worker.wait() == 0
    assert results(jobs, 1) == ["a", "b"]
    assert {row.attempt for row in rig.rows()} == {1}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_every_process_is_one_stop(
    rig: Rig, eventually: Eventually, number: signal.Signals
) -> None:
    """A service manager signals all processes of a service: running jobs finish all the same."""
    tasks = rig.tasks(SLOW)
    jobs = [tasks.slow.send("a"), tasks.aslow.send("b")]
    worker = rig.worker()
    eventually(lambda: len(rig.executions()) == 2)
    for pid in worker.tree:
        os.kill(pid, number)
    eventually(lambda: "stopping" in worker.said())
    rig.open_gate()
    assert worker.wait() == 0
    assert results(jobs, 1) == ["a", "b"]
    assert {(row.attempt, row.losses) for row in rig.rows()} == {(1, 0)}


def test_processes_of_a_task_can_be_ended(rig: Rig) -> None:
    """What a task starts by fork or by exec hears signals as it would anywhere else."""
    tasks = rig.tasks("""
        import multiprocessing, subprocess

        @app.task
        def start() -> list[int]:
            forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
            forked.start()
            forked.terminate()
            forked.join(5)
            other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            other.terminate()
            return [forked.exitcode, other.wait(5)]
    """)
    rig.worker()
    assert tasks.start.send().result(12) == [-signal.SIGTERM, -signal.SIGTERM]


def test_a_blocked_loop_does_not_outlast_the_grace(rig: Rig, eventually: Eventually) -> None:
    """A coroutine that blocks its loop is ended with the grace, and those behind it go back."""
    rig.set(grace="500ms")
    tasks = rig.tasks("""
        @app.task
        async def block() -> None:
            witness("block")
            time.sleep(60)

        @app.task
        async def next_() -> None:
            witness("next")
    """)
    blocking = tasks.block.send()
    worker = rig.worker()
    eventually(lambda: rig.marks() == ["block"])
    behind = [tasks.next_.send() for _ in range(10)]
    eventually(lambda: rig.states()["running"] == 11)
    assert worker.stop(8) == 11
    assert rig.row(blocking).state == "queued"
    assert {(row.state, row.failures, row.losses) for row in rig.rows([blocking, *behind])} == {
        ("queued", 0, 0)
    }


def test_an_idle_worker_stops_at_once(rig: Rig) -> None:
    """A worker that has nothing to do ends within a second of being asked."""
    rig.tasks(SLOW)
    worker = rig.worker("--children", "2")
    assert worker.stop(1.5) == 0


def test_a_second_signal_is_heard_over_a_blocked_loop(rig: Rig, eventually: Eventually) -> None:
    """A child that does not answer does not keep the second signal from ending the worker."""
    tasks = rig.tasks("""
        @app.task
        async def block() -> None:
            witness()
            time.sleep(60)
    """)
    job = tasks.block.send()
    worker = rig.worker()
    eventually(lambda: len(rig.executions()) == 1)
    worker.signal(signal.SIGTERM)
    eventually(lambda: "stopping" in worker.said())
    worker.signal(signal.SIGTERM)
    assert worker.wait(2) == 11
    assert rig.row(job).releases == 1


def test_a_rolling_restart(rig: Rig, eventually: Eventually) -> None:
    """Workers that are replaced one by one under load, new before old, run each job once."""
    tasks = rig.tasks("""
        @app.task(retries=0)
        async def work(x: int) -> int:
            witness()
            await asyncio.sleep(0 if gate() else 0.005)
            return x
    """)
    jobs = tasks.app.send_many(tasks.work.call(i) for i in range(3000))
    old = [rig.worker("--loop-slots", "4") for _ in range(2)]
    for _ in range(4):
        new = rig.worker("--loop-slots", "4")
        assert old.pop(0).stop() == 0
        old.append(new)
    rig.open_gate()
    eventually(rig.settled, 12)
    assert results(jobs, 2) == list(range(3000))
    assert rig.times_run() == Counter(job.id for job in jobs)
    assert {(row.failures, row.losses) for row in rig.rows()} == {(0, 0)}


def test_a_child_that_is_stopped_does_not_outlast_the_grace(
    rig: Rig, eventually: Eventually
) -> None:
    """A child that was paused by hand is ended with the grace, and what it held goes back."""
    rig.set(grace="300ms")
    tasks = rig.tasks(SLOW)
    jobs = [tasks.slow.send("a"), tasks.aslow.send("b")]
    worker = rig.worker()
    eventually(lambda: len(rig.executions()) == 2)
    (child,) = worker.children
    os.kill(child, signal.SIGSTOP)
    assert worker.stop(3) == 11
    assert {(row.state, row.releases, row.losses) for row in rig.rows(jobs)} == {("queued", 1, 0)}
