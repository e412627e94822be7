"""An app that cannot be imported ends the worker with its traceback, or waits until it can be."""

from __future__ import annotations

import os
import resource
import signal

import pytest

from tests.conftest import Eventually
from tests.worker.rig import Rig, Worker, alive, results

FINE = """
@app.task
def fine(x: int) -> int:
    witness()
    return x
"""


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import no_such_module\n", "No module named 'no_such_module'"),
        ("def broken(:\n", "SyntaxError"),
        ("raise ValueError('at import')\n", "ValueError: at import"),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt"),
        ("import sys; sys.exit('not today')\n", "not today"),
        ("import sys; sys.exit(0)\n", ""),
        ("import os; os._exit(0)\n", ""),
        ("import os; os.kill(os.getpid(), 9)\n", "SIGKILL"),
    ],
)
def test_an_import_that_fails(rig: Rig, source: str, words: str) -> None:
    """The worker ends within seconds, with an exit code other than 0 and the child's own words."""
    rig.folder.joinpath("tasks.py").write_text(source)
    worker = rig.worker("--children", "3", ready=False)
    assert worker.wait(5) not in {0, 11}
    assert words in worker.said()
    assert "could not be imported" in worker.said()
    assert "ChildProcess" not in worker.said()
    assert "starting another" not in worker.said()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("no_such_tasks:app", "no_such_tasks"),
        ("tasks:no_such_app", "no_such_app"),
        ("tasks:witness", "witness"),
        ("no_such_file.py", "no_such_file.py"),
    ],
)
def test_an_app_that_is_not_there(rig: Rig, target: str, words: str) -> None:
    """The worker says what it looked for, without a traceback, and ends with exit code 2."""
    rig.write(FINE)
    worker = rig.worker(ready=False, target=target)
    assert worker.wait(5) == 2
    assert words in worker.said()
    assert "Traceback" not in worker.said()


def test_a_stop_during_a_slow_import(rig: Rig, eventually: Eventually) -> None:
    """An import that hangs can be stopped; nothing of it lives on."""
    rig.folder.joinpath("tasks.py").write_text("import time\ntime.sleep(60)\n")
    worker = rig.worker(ready=False)
    (child,) = eventually(lambda: worker.children)
    assert worker.stop(3) == 0
    assert not alive(child)
    assert "rror" not in worker.said()


def _lose_child(worker: Worker, eventually: Eventually) -> None:
    (child,) = worker.children
    os.kill(child, signal.SIGKILL)
    eventually(lambda: not alive(child))


def test_a_replaced_child_may_fail_to_import(rig: Rig, eventually: Eventually) -> None:
    """When the code was broken meanwhile the worker tries again until it is mended."""
    tasks = rig.tasks(FINE)
    worker = rig.worker()
    assert tasks.fine.send(1).result(5) == 1
    rig.write(FINE + "\nraise ValueError('half a deployment')\n")
    _lose_child(worker, eventually)
    eventually(lambda: worker.said().count("half a deployment") >= 2)
    job = tasks.fine.send(2)
    assert worker.process.poll() is None
    rig.write(FINE)
    assert job.result(8) == 2
    assert {(row.failures, row.losses) for row in rig.rows()} == {(0, 0)}
    assert worker.stop() == 0


def test_a_replaced_child_may_know_other_tasks(rig: Rig, eventually: Eventually) -> None:
    """A child that was replaced by a later version of the code gives back what it does not know."""
    tasks = rig.tasks(FINE + "\n@app.task\ndef old(x: int) -> int:\n    return -x\n")
    worker = rig.worker()
    assert tasks.old.send(1).result(5) == -1
    rig.write(FINE)
    _lose_child(worker, eventually)
    assert tasks.fine.send(2).result(5) == 2
    job = tasks.old.send(3)
    eventually(lambda: rig.row(job).releases >= 1)
    row = rig.row(job)
    assert (row.state, row.failures, row.losses) == ("queued", 0, 0)


def test_a_child_that_cannot_be_started_is_tried_again(rig: Rig, eventually: Eventually) -> None:
    """Without a free descriptor no child can be made; when there is one again, it is."""
    tasks = rig.tasks(FINE)
    worker = rig.worker()
    assert tasks.fine.send(1).result(5) == 1
    used = len(os.listdir(f"/proc/{worker.pid}/fd"))
    before = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (used, before[1]))
    _lose_child(worker, eventually)
    job = tasks.fine.send(2)
    eventually(lambda: "Too many open files" in worker.said())
    assert worker.process.poll() is None
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, before)
    assert job.result(8) == 2


def test_children_lost_again_and_again_leave_nothing_open(rig: Rig, eventually: Eventually) -> None:
    """Each child that is replaced gives its descriptors, memory and process back."""
    tasks = rig.tasks(FINE)
    worker = rig.worker()
    assert tasks.fine.send(0).result(5) == 0
    used = len(os.listdir(f"/proc/{worker.pid}/fd"))
    for x in range(5):
        eventually(lambda: len(worker.children) == 1)
        _lose_child(worker, eventually)
        assert tasks.fine.send(x).result(8) == x
    eventually(lambda: len(os.listdir(f"/proc/{worker.pid}/fd")) == used, 3)
    assert worker.stop() == 0


def test_an_app_without_tasks(rig: Rig, eventually: Eventually) -> None:
    """An app without tasks starts, gives back what is sent to it, and stops."""
    tasks = rig.tasks(FINE)
    job = tasks.fine.send(1)
    rig.write("")
    worker = rig.worker()
    eventually(lambda: rig.row(job).releases == 1)
    assert worker.stop() == 0
    assert rig.row(job).state == "queued"


def test_a_print_at_import_and_in_tasks(rig: Rig) -> None:
    """What an app prints, and a task at any time, does not disturb what the processes say."""
    tasks = rig.tasks(
        "print('x' * 100_000)\nos.write(1, b'raw' * 1000)\n"
        + FINE.replace("witness()", "print(x, flush=True)")
    )
    rig.worker()
    assert results([tasks.fine.send(i) for i in range(50)]) == list(range(50))
