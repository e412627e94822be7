"""Deploys: workers end at any instant, and new code comes while old code runs."""

from __future__ import annotations

import os
import time
from collections import Counter
from itertools import pairwise
from random import Random

from tests.conftest import Eventually
from tests.worker.rig import Rig, results

RESTARTS = int(os.environ.get("ROLLING_RESTARTS", "6"))

WORK = """
@app.task(retries=0)
def work(x: int) -> int:
    witness()
    time.sleep(0 if gate() else 0.003)
    return x
"""

OLD = """
@app.task(retries=0)
def changed(x: int) -> int:
    witness("old")
    time.sleep(0 if gate() else 0.003)
    return x

@app.task(retries=0)
def removed(x: int) -> int:
    witness()
    return x
"""

NEW = """
@app.task(retries=0)
def changed(x: int, more: int = 0) -> int:
    witness("new")
    time.sleep(0 if gate() else 0.003)
    return x + more

@app.task(retries=0)
def added(x: int) -> int:
    witness()
    return x
"""


def test_a_stop_at_the_instant_of_fetching(rig: Rig, eventually: Eventually) -> None:
    """Swept over the moments around a claim: no job is lost between store and worker, none twice."""
    tasks = rig.tasks(WORK)
    random = Random(7)
    jobs = []
    for step in range(12):
        worker = rig.worker("--threads", "3", ready=False)
        eventually(lambda: "loop slots" in worker.said())  # noqa: B023  it is called at once
        # The worker waits for a message: what is sent now wakes it, and the signal comes beside.
        jobs += tasks.app.send_many(tasks.work.call(i) for i in range(random.randrange(1, 40)))
        time.sleep(step * 0.001)
        assert worker.stop() == 0
        assert rig.states()["running"] == 0
    rig.open_gate()
    rig.worker()
    results(jobs)
    assert rig.times_run() == Counter(job.id for job in jobs)
    assert {(row.state, row.failures, row.losses) for row in rig.rows()} == {("succeeded", 0, 0)}


def test_rolling_restarts_with_two_versions(rig: Rig, eventually: Eventually) -> None:
    """Old and new code take turns under load: each job runs once, where it is known, without a pause."""
    rig.set(unknown_grace="1h")
    tasks = rig.tasks(OLD)
    versions = {"old": OLD, "new": NEW}
    jobs = tasks.app.send_many(tasks.changed.call(i) for i in range(400 * RESTARTS))
    running = [rig.worker("--threads", "4") for _ in range(2)]
    for turn in range(RESTARTS):
        rig.write(versions["new" if turn % 2 == 0 else "old"])
        running.append(rig.worker("--threads", "4"))
        assert running.pop(0).stop() == 0
        sent = tasks.app.send_many(tasks.changed.call(i) for i in range(20))
        results(sent, 15)
        jobs += sent
    # What nobody who is there knows is put back, and runs when somebody comes who does.
    rig.write(OLD)
    running.append(rig.worker("--threads", "4"))
    assert [worker.stop() for worker in running[:-1]] == [0, 0]
    added = tasks.app.send_many(rig.tasks(NEW).added.call(i) for i in range(20))
    eventually(lambda: all(row.releases for row in rig.rows(added)))
    running.append(rig.worker("--threads", "4"))
    assert running[-2].stop() == 0
    results(added, 15)
    removed = tasks.app.send_many(tasks.removed.call(i) for i in range(20))
    eventually(lambda: all(row.releases for row in rig.rows(removed)))
    rig.write(OLD)
    rig.worker("--threads", "4")
    assert running[-1].stop() == 0
    results(removed, 15)
    jobs += [*added, *removed]
    eventually(rig.settled)
    assert rig.times_run() == Counter(job.id for job in jobs)
    assert {(row.state, row.failures, row.losses) for row in rig.rows()} == {("succeeded", 0, 0)}
    marks = set(rig.marks())
    assert {"old", "new"} <= marks


def test_a_rolling_restart_makes_no_pause(rig: Rig, eventually: Eventually) -> None:
    """The new worker is up before the old one stops: between two starts there is never a second."""
    tasks = rig.tasks("""
        @app.task(retries=0)
        def tick(x: int) -> None:
            witness(str(time.time()))
            time.sleep(0.01)
    """)
    old = rig.worker("--threads", "2")
    tasks.app.send_many(tasks.tick.call(i) for i in range(600 * RESTARTS))
    eventually(lambda: len(rig.executions()) > 10)
    for _ in range(RESTARTS - 1):
        new = rig.worker("--threads", "2")
        assert old.stop() == 0
        old = new
    count = len(rig.executions())
    eventually(lambda: len(rig.executions()) > count + 10 or rig.settled())
    begun = sorted(float(mark) for mark in rig.marks())
    assert max(after - before for before, after in pairwise(begun)) < 1.0
    assert max(rig.times_run().values()) == 1
