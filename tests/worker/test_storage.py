"""A database that is locked, damaged or gone: the worker waits and says so, or ends and says so."""

from __future__ import annotations

import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import apsw
import pytest

from ropeway.errors import Backpressure
from tests.conftest import Eventually
from tests.disks import fill, small_disk
from tests.worker.rig import Rig, results

WORK = """
@app.task
def work(x: int) -> int:
    witness()
    return x

@app.task
def slow(x: int) -> int:
    witness()
    hold()
    return x
"""


@contextmanager
def locked(rig: Rig) -> Iterator[None]:
    """Keep the database locked, as another program would."""
    other = apsw.Connection(str(rig.database))
    other.set_busy_timeout(5000)
    other.execute("begin immediate")
    try:
        yield
    finally:
        other.execute("rollback")
        other.close()


def test_a_locked_database_is_waited_for(rig: Rig, eventually: Eventually) -> None:
    """While another program locks the database for two leases nothing is lost or run twice."""
    tasks = rig.tasks(WORK)
    jobs = tasks.app.send_many(tasks.work.call(i) for i in range(300))
    slow = tasks.slow.send(7)
    worker = rig.worker()
    eventually(lambda: slow.id in rig.times_run())
    more = tasks.app.send_many(tasks.work.call(i) for i in range(2000))
    with locked(rig):
        outlast_leases(rig, eventually, 0.5)
        rig.open_gate()
    eventually(rig.settled)
    assert results([*jobs, *more], 2) == [*range(300), *range(2000)]
    assert slow.result(1) == 7
    assert rig.times_run() == Counter(job.id for job in [*jobs, slow, *more])
    assert {(row.failures, row.losses) for row in rig.rows()} == {(0, 0)}
    assert worker.stop() == 0


def test_a_full_disk_is_waited_for(rig: Rig, eventually: Eventually) -> None:
    """On a disk without a byte what runs is settled and sends are refused; then all goes on."""
    with small_disk(rig.folder / "disk") as disk:
        rig.set(url=f"sqlite:///{disk}/jobs.db")
        tasks = rig.tasks(WORK)
        jobs = tasks.app.send_many(tasks.slow.call(i) for i in range(100))
        worker = rig.worker()
        eventually(lambda: len(rig.executions()) == 8)
        others = fill(disk)

        def is_refused() -> bool:
            try:
                tasks.work.send(1)
            except Backpressure:
                return True
            return False

        eventually(is_refused, 2)
        rig.open_gate()
        assert results(jobs[:8], 10) == list(range(8))
        others.unlink()
        assert results(jobs, 10) == list(range(100))
        eventually(lambda: not is_refused(), 2)
        assert tasks.work.send(7).result(10) == 7
        assert set(rig.times_run().values()) == {1}
        assert worker.stop() == 0


def outlast_leases(rig: Rig, eventually: Eventually, seconds: float) -> None:
    """Wait until every lease that is held now has been over for so long."""
    (until,) = rig.sql("select max(lease_until) from job where state = 1")[0]
    eventually(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) > until + seconds)


def test_a_stop_is_heard_while_the_database_is_locked(rig: Rig, eventually: Eventually) -> None:
    """A worker that waits for a lock of another program still hears that it shall stop."""
    tasks = rig.tasks(WORK)
    tasks.slow.send(7)
    worker = rig.worker()
    eventually(lambda: len(rig.executions()) == 1)
    with locked(rig):
        outlast_leases(rig, eventually, 0)
        worker.signal(signal.SIGTERM)
        eventually(lambda: "stopping" in worker.said(), 1.5)
    rig.open_gate()
    assert worker.wait() == 0
    assert rig.states() == {"succeeded": 1}


@pytest.mark.parametrize("how", ["the file", "everything"])
def test_a_deleted_database(rig: Rig, eventually: Eventually, how: str) -> None:
    """When the database is deleted under a worker it says so, and serves the new one."""
    tasks = rig.tasks(WORK)
    worker = rig.worker()
    assert tasks.work.send(1).result(5) == 1
    slow = tasks.slow.send(2)
    eventually(lambda: slow.id in rig.times_run())
    if how == "everything":
        shutil.rmtree(rig.folder / "jobs.db-hints", ignore_errors=True)
    for path in rig.folder.glob("jobs.db*"):
        if path.is_file():
            path.unlink()
    time.sleep(0.02)  # the name is looked at a hundred times a second
    assert tasks.work.send(3).result(10) == 3
    assert "was removed or replaced" in worker.said()
    rig.open_gate()
    assert results([tasks.work.send(i) for i in range(20)]) == list(range(20))
    assert worker.stop() == 0


def test_a_worker_that_cannot_go_on_ends(rig: Rig, eventually: Eventually) -> None:
    """When the schema is gone the worker ends by itself, with an error and a code other than 0."""
    tasks = rig.tasks(WORK)
    tasks.slow.send(1)
    worker = rig.worker()
    eventually(lambda: len(rig.executions()) == 1)
    rig.sql("drop table job")
    rig.open_gate()
    assert worker.wait(8) not in {0, 11}
    assert "no such table" in worker.said()


def test_a_database_that_is_none(rig: Rig) -> None:
    """A file that is no database ends the worker at once, with a hint and no traceback."""
    rig.write(WORK)
    rig.database.write_bytes(b"this is a text, and no database at all" * 1000)
    worker = rig.worker(ready=False)
    assert worker.wait(8) == 7
    assert "cannot be used" in worker.said()
    assert "Traceback" not in worker.said()
    assert rig.database.read_bytes().startswith(b"this is a text")


def test_a_folder_that_cannot_be_made(rig: Rig) -> None:
    """A database in a place that cannot be is an error with a hint, and no traceback."""
    rig.folder.joinpath("file").touch()
    rig.set(url=f"sqlite:///{rig.folder}/file/jobs.db")
    rig.write(WORK)
    worker = rig.worker(ready=False)
    assert worker.wait(8) == 7
    assert "cannot open the database" in worker.said()
    assert "Traceback" not in worker.said()
