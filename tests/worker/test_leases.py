"""Who holds a lease decides: pauses, blocked loops and lost leases change nothing that is settled."""

from __future__ import annotations

import os
import signal
import time

from tests.conftest import Eventually
from tests.worker.rig import Rig, results

WORK = """
@app.task
def work(mark: str) -> list:
    witness(mark)
    hold(mark)
    return [current.attempt, os.getpid()]

@app.task
async def awork(mark: str) -> list:
    witness(mark)
    await ahold(mark)
    return [current.attempt, os.getpid()]

@app.task
async def again(x: int) -> int:
    return x
"""


def test_a_paused_worker_cannot_settle(rig: Rig, eventually: Eventually) -> None:
    """What another worker has finished meanwhile stays as it is when the paused one goes on.

    The paused worker's settle is refused, and it goes on working.
    """
    tasks = rig.tasks(WORK)
    jobs = [tasks.work.send("a"), tasks.awork.send("b")]
    paused = rig.worker()
    eventually(lambda: len(rig.executions()) == 2)
    old = {each.pid for each in rig.executions()}
    paused.freeze()
    other = rig.worker()
    eventually(lambda: len(rig.executions()) == 4, 6)
    rig.open_gate("a")
    rig.open_gate("b")
    found = results(jobs)
    assert {attempt for attempt, _ in found} == {2}
    assert not {pid for _, pid in found} & old
    before = [rig.record(job) for job in jobs]
    assert other.stop() == 0
    paused.thaw()
    eventually(lambda: paused.said().count("was not settled (lost)") == 2)
    assert [rig.record(job) for job in jobs] == before
    assert results([tasks.again.send(i) for i in range(20)]) == list(range(20))
    assert paused.stop() == 0


def test_a_paused_worker_does_not_disturb_the_second_attempt(
    rig: Rig, eventually: Eventually
) -> None:
    """When the paused worker goes on, the attempt that runs elsewhere by then is not disturbed."""
    tasks = rig.tasks(WORK)
    jobs = [tasks.work.send("a"), tasks.awork.send("b")]
    paused = rig.worker()
    eventually(lambda: len(rig.executions()) == 2)
    paused.freeze()
    rig.worker()
    eventually(lambda: len(rig.executions()) == 4, 6)
    paused.thaw()
    # It asks for its leases, hears that they are lost, and interrupts what it runs.
    eventually(lambda: paused.said().count("was not settled (lost)") == 2)
    assert rig.states() == {"running": 2}
    rig.open_gate("a")
    rig.open_gate("b")
    assert {attempt for attempt, _ in results(jobs)} == {2}
    assert {(row.failures, row.losses) for row in rig.rows()} == {(0, 0)}
    assert len(rig.executions()) == 4


def outlast_leases(rig: Rig, eventually: Eventually) -> None:
    """Wait until every lease that is held now is over."""
    (until,) = rig.sql("select max(lease_until) from job where state = 1")[0]
    eventually(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) > until + 0.2)


def test_a_worker_does_not_take_over_from_itself(rig: Rig, eventually: Eventually) -> None:
    """A supervisor that was paused past its leases, and that nobody replaced, runs nothing twice.

    Also what ended during such a pause is settled.
    """
    tasks = rig.tasks(WORK)
    jobs = [tasks.work.send("a"), tasks.awork.send("b")]
    worker = rig.worker()
    eventually(lambda: len(rig.executions()) == 2)
    os.kill(worker.pid, signal.SIGSTOP)
    outlast_leases(rig, eventually)
    os.kill(worker.pid, signal.SIGCONT)
    assert tasks.again.send(1).result(5) == 1
    os.kill(worker.pid, signal.SIGSTOP)
    rig.open_gate("a")
    rig.open_gate("b")
    outlast_leases(rig, eventually)
    os.kill(worker.pid, signal.SIGCONT)
    results(jobs)
    assert len(rig.executions()) == 2
    assert {(row.state, row.failures, row.losses) for row in rig.rows()} == {("succeeded", 0, 0)}


def test_long_and_blocking_tasks_keep_their_leases(rig: Rig, eventually: Eventually) -> None:
    """A loop that is blocked, a lock that is held and a long call run once beside an idle worker."""
    tasks = rig.tasks("""
        import re

        @app.task
        async def pid() -> int:
            await asyncio.sleep(0.02)
            return os.getpid()

        @app.task
        async def block(mark: str) -> None:
            witness(mark)
            time.sleep(2.2)

        @app.task
        async def spin(mark: str) -> None:
            witness(mark)
            end = time.monotonic() + 2.2
            while time.monotonic() < end:
                pass

        @app.task
        def hog(mark: str) -> None:
            witness(mark)
            end = time.monotonic() + 2.2
            while time.monotonic() < end:
                re.match("(a*)*b", "a" * 18)  # holds the interpreter's lock

        @app.task
        def long(mark: str) -> None:
            witness(mark)
            time.sleep(2.2)
    """)
    for _ in range(2):
        rig.worker("--children", "2")
    # Until all children take calls.
    eventually(lambda: len(set(results([tasks.pid.send() for _ in range(9)]))) == 4)
    # A blocked loop starts no threads, so those go first.
    jobs = [getattr(tasks, name).send(name) for name in ("long", "hog")]
    eventually(lambda: len(rig.executions()) == 2)
    jobs += [getattr(tasks, name).send(name) for name in ("block", "spin")]
    eventually(rig.settled, 12)
    results(jobs)
    assert sorted(rig.marks()) == sorted(["long", "hog", "block", "spin"])
    assert {(row.state, row.attempt) for row in rig.rows(jobs)} == {("succeeded", 1)}


def test_calls_behind_a_blocked_loop_are_not_run_twice(rig: Rig, eventually: Eventually) -> None:
    """Calls that wait behind a blocked loop for two leases stay with their child and run once."""
    tasks = rig.tasks("""
        @app.task
        async def block() -> None:
            time.sleep(2.2)

        @app.task
        async def quick(x: int) -> int:
            witness()
            return x
    """)
    rig.worker()
    blocking = tasks.block.send()
    eventually(lambda: rig.row(blocking).state == "running")
    jobs = [tasks.quick.send(i) for i in range(30)]
    rig.worker()
    assert results(jobs, 12) == list(range(30))
    assert set(rig.times_run().values()) == {1}
