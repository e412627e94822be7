"""Processes die: what they ran is run again, who killed them is charged, and nobody else."""

from __future__ import annotations

import os
import signal

import pytest

from tests.conftest import Eventually
from tests.worker.rig import Rig, alive, results

WAITERS = """
@app.task
def wait(mark: str) -> str:
    witness(mark)
    hold()
    return mark

@app.task
async def await_(mark: str) -> str:
    witness(mark)
    await ahold()
    return mark
"""


def test_a_killed_child_costs_one_run(rig: Rig, eventually: Eventually) -> None:
    """What a killed child ran is run again, and settled once; nobody knows whose fault it was."""
    tasks = rig.tasks(WAITERS)
    running = [tasks.wait.send(f"r{i}") for i in range(4)]
    unstarted = [tasks.wait.send(f"u{i}") for i in range(4)]
    worker = rig.worker("--threads", "4")
    eventually(lambda: len(rig.executions()) == 4)
    (child,) = worker.children
    os.kill(child, signal.SIGKILL)
    eventually(lambda: len(rig.executions()) == 8)
    assert worker.children != [child]
    rig.open_gate()
    assert results(running + unstarted) == [f"r{i}" for i in range(4)] + [f"u{i}" for i in range(4)]
    times = rig.times_run()
    for row in rig.rows(running):
        assert (row.state, row.failures, row.losses) == ("succeeded", 0, 0)
        assert times[row.id] == 2
    for row in rig.rows(unstarted):
        assert (row.state, row.failures, row.losses, times[row.id]) == ("succeeded", 0, 0, 1)
    assert "SIGKILL" in worker.said()


def test_a_killed_child_is_replaced_again_and_again(rig: Rig, eventually: Eventually) -> None:
    """Under load, children that are killed five times lose nothing, and each job settles once."""
    tasks = rig.tasks("""
        @app.task(retries=0)
        async def nap(x: int) -> int:
            witness()
            await asyncio.sleep(0.01)
            return x
    """)
    jobs = tasks.app.send_many(tasks.nap.call(i) for i in range(1500))
    worker = rig.worker("--children", "2", "--loop-slots", "10")
    killed: set[int] = set()
    for done in range(150, 900, 150):
        eventually(lambda: len(rig.executions()) >= done)  # noqa: B023  it is called at once
        victim = eventually(lambda: [pid for pid in worker.children if pid not in killed])[0]
        os.kill(victim, signal.SIGKILL)
        killed.add(victim)
    eventually(rig.settled, 12)
    assert results(jobs, 2) == list(range(1500))
    times = rig.times_run()
    assert set(times) == {job.id for job in jobs}
    assert sum(times.values()) <= 1500 + 5 * 10
    for row in rig.rows(jobs):
        assert row.failures == 0
        assert times[row.id] <= row.attempt


POISON = """
import ctypes

@app.task(retries=0)
async def die(how: str) -> None:
    witness(how)
    death(how)

@app.task(retries=0)
def die_in_thread(how: str) -> None:
    witness(how)
    death(how)

def death(how):
    if how == "exit":
        os._exit(7)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "segv":
        ctypes.string_at(0)

@app.task(retries=0)
async def good(x: int) -> int:
    witness("good")
    await asyncio.sleep(0.05)
    return x

@app.task(retries=0)
def good_in_thread(x: int) -> int:
    witness("good")
    time.sleep(0.01)
    return x
"""
ENDS = {"exit": "status 7", "kill": "SIGKILL", "segv": "SIGSEGV"}
RUNS = {"exit": {3, 4, 5}, "segv": {3, 4, 5}, "kill": {3, 4, 5, 6, 7}}
"""Beside threads at work twice at most, until it runs alone; what may be a kill from outside is then
forgiven twice."""


@pytest.mark.parametrize(
    ("kind", "how"), [("loop", "exit"), ("thread", "kill"), ("thread", "segv")]
)
def test_poison_ends_and_its_neighbours_do_not(
    rig: Rig, eventually: Eventually, kind: str, how: str
) -> None:
    """A task that kills its process is quarantined after three losses; 200 neighbours succeed.

    None of these is charged, also in threads, where nobody can tell whose code it was.
    """
    tasks = rig.tasks(POISON)
    poison = tasks.die if kind == "loop" else tasks.die_in_thread
    good = [(tasks.good if i % 2 else tasks.good_in_thread).call(i) for i in range(200)]
    jobs = tasks.app.send_many(good[:100])
    bad = poison.send(how)
    jobs += tasks.app.send_many(good[100:])
    rig.worker("--children", "2")
    eventually(rig.settled, 14)
    row = rig.row(bad)
    assert (row.state, row.losses, row.failures) == ("quarantined", 3, 0)
    assert ENDS[how] in row.error
    assert rig.marks().count(how) in RUNS[how]
    rows = rig.rows(jobs)
    assert {(row.state, row.losses) for row in rows} == {("succeeded", 0)}


def test_those_that_wait_are_not_charged(rig: Rig, eventually: Eventually) -> None:
    """Coroutines that wait while others kill their process eight times are never charged."""
    tasks = rig.tasks(
        POISON
        + """
@app.task(retries=RetryPolicy(retries=0, max_losses=2))
async def die_twice() -> None:
    os._exit(7)

@app.task(retries=0)
async def wait(x: int) -> int:
    witness("wait")
    await ahold()
    return x
"""
    )
    waiting = [tasks.wait.send(i) for i in range(50)]
    rig.worker()
    eventually(lambda: rig.marks().count("wait") == 50)
    bad = [tasks.die_twice.send() for _ in range(4)]
    eventually(lambda: {row.state for row in rig.rows(bad)} == {"quarantined"}, 12)
    rig.open_gate()
    assert results(waiting) == list(range(50))
    for row in rig.rows(waiting):
        assert (row.state, row.failures, row.losses) == ("succeeded", 0, 0)


def test_poison_that_strikes_later_ends_too(rig: Rig, eventually: Eventually) -> None:
    """A task whose timer kills the process while it waits is put away; its neighbours are well.

    They take longer than it does to kill them, so they would never end in its company. All are
    suspects, and run alone after the second time.
    """
    tasks = rig.tasks("""
        @app.task(retries=0)
        async def timer() -> None:
            witness("timer")
            asyncio.get_running_loop().call_later(0.02, os._exit, 9)
            await asyncio.sleep(60)

        @app.task(retries=0)
        async def nap(x: int) -> int:
            await asyncio.sleep(0.2)
            return x
    """)
    jobs = tasks.app.send_many([tasks.nap.call(i) for i in range(8)])
    bad = tasks.timer.send()
    rig.worker()
    assert results(jobs, 20) == list(range(8))
    eventually(lambda: rig.row(bad).state == "quarantined", 20)
    assert (rig.row(bad).losses, rig.row(bad).failures) == (3, 0)
    assert "status 9" in rig.row(bad).error
    assert rig.marks().count("timer") == 5
    assert {(row.losses, row.failures) for row in rig.rows(jobs)} == {(0, 0)}


def test_poison_one_by_one_spares_those_behind(rig: Rig, eventually: Eventually) -> None:
    """With one slot a poison task costs those behind it nothing but time."""
    tasks = rig.tasks(POISON.replace("(retries=0)", "(retries=RetryPolicy(max_losses=1))"))
    bad = tasks.die_in_thread.send("kill")
    jobs = [tasks.good_in_thread.send(i) for i in range(20)]
    rig.worker("--threads", "1", "--loop-slots", "1")
    eventually(rig.settled, 12)
    assert rig.row(bad).state == "quarantined"
    assert {(row.state, row.losses) for row in rig.rows(jobs)} == {("succeeded", 0)}
    assert rig.marks().count("good") == 20


def test_no_orphan_runs_on(rig: Rig, eventually: Eventually) -> None:
    """When the supervisor is killed its children die with it, and another worker does the work."""
    tasks = rig.tasks(WAITERS)
    jobs = [tasks.wait.send(f"{i}") for i in range(4)]
    jobs += [tasks.await_.send(f"{i}") for i in range(4, 8)]
    first = rig.worker("--children", "2")
    eventually(lambda: len(rig.executions()) == 8)
    children = first.children
    assert len(children) == 2
    first.signal(signal.SIGKILL)
    eventually(lambda: not any(map(alive, children)), 2)
    rig.worker()
    eventually(lambda: len(rig.executions()) == 16, 5)
    rig.open_gate()
    assert results(jobs) == [f"{i}" for i in range(8)]
    for row in rig.rows(jobs):
        assert (row.state, row.attempt, row.failures, row.losses) == ("succeeded", 2, 0, 0)


def test_a_killed_worker_is_not_waited_for(rig: Rig, eventually: Eventually) -> None:
    """With leases of an hour, what a killed worker was running starts elsewhere within seconds."""
    if not rig.in_file:
        pytest.skip("elsewhere a holder may be on another machine: its lease has to end")
    rig.set(lease=3600)
    tasks = rig.tasks(WAITERS)
    jobs = [tasks.wait.send(f"{i}") for i in range(20)]
    first = rig.worker("--children", "2")
    eventually(lambda: len(rig.executions()) >= 16)
    other = rig.worker()
    first.signal(signal.SIGKILL)
    first.wait()
    rig.open_gate()
    assert results(jobs, 10) == [f"{i}" for i in range(20)]
    assert "is dead: its" in other.said()
    assert {row.losses for row in rig.rows()} == {0}
    assert other.stop() == 0


def test_workers_killed_under_load_lose_nothing(rig: Rig, eventually: Eventually) -> None:
    """Workers that are killed at any moment, three times, lose no job and settle each once."""
    tasks = rig.tasks("""
        @app.task
        def work(x: int) -> int:
            witness()
            return x
    """)
    jobs = tasks.app.send_many(tasks.work.call(i) for i in range(4000))
    for wanted in (50, 700, 1500):
        worker = rig.worker(ready=False)
        eventually(lambda: len(rig.executions()) > wanted)  # noqa: B023  it is called at once
        worker.signal(signal.SIGKILL)
        worker.wait()
    rig.worker()
    eventually(rig.settled, 12)
    assert results(jobs, 3) == list(range(4000))
    assert set(rig.times_run()) == {job.id for job in jobs}
    for row in rig.rows(jobs):
        assert (row.state, row.failures) == ("succeeded", 0)
        assert row.attempt - row.releases <= 4
        assert row.losses == 0  # who was in hand at two of the kills runs alone, and is not charged


def test_poison_that_kills_its_whole_worker_ends_too(rig: Rig, eventually: Eventually) -> None:
    """A task that takes its supervisor along, each time anew, is put away after some restarts."""
    tasks = rig.tasks("""
        @app.task(retries=0)
        def die() -> None:
            witness()
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
    """)
    job = tasks.die.send()
    for _ in range(10):
        worker = rig.worker(ready=False)
        eventually(lambda: worker.process.poll() or rig.row(job).state == "quarantined")  # noqa: B023
        if worker.process.poll() is None:
            break
        rig.sql("update job set lease_until = -1 where state = 1")
    row = rig.row(job)
    assert (row.state, row.failures) == ("quarantined", 0)
    assert len(rig.executions()) == 7  # twice beside others, twice alone, and three times charged
