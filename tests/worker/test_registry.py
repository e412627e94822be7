"""Who is at work can be seen in the store, and told what to do, while it can be reached."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter

import pytest

from ropeway import control
from ropeway.control import WorkerRecord, Workers
from ropeway.errors import BlockingCall, WorkerNotFound, WorkerSilent
from ropeway.stepping import step
from tests.conftest import Eventually
from tests.worker.rig import Rig, Worker, results
from tests.worker.test_outage import kept_by_one_of_ours

TASKS = """
@app.task
def slow(mark: str) -> str:
    witness(mark)
    hold()
    return mark

@app.task
async def aslow(mark: str) -> str:
    witness(mark)
    await ahold()
    return mark

@app.task
async def block() -> None:
    witness("block")
    hold()

@app.task
def nap() -> None:
    witness()
    time.sleep(0.01)
"""


def workers(rig: Rig) -> Workers:
    """Return the API under test."""
    found: Workers = rig.module.app.workers
    return found


def one(rig: Rig) -> WorkerRecord:
    """Return the only worker."""
    (record,) = workers(rig).ls()
    return record


def registered(rig: Rig, eventually: Eventually, *options: str) -> Worker:
    """Start a worker and wait until it is in the store and consumes."""
    known = {each.holder for each in workers(rig).ls()}
    worker = rig.worker(*options)
    eventually(
        lambda: [
            each
            for each in workers(rig).ls()
            if each.holder not in known and each.state == "consuming"
        ]
    )
    return worker


def test_a_record_says_what_a_worker_is(rig: Rig, eventually: Eventually) -> None:
    """Where it runs, what it serves, how many calls it holds; and it goes with the worker."""
    rig.tasks(TASKS)
    worker = registered(rig, eventually, "--queues", "default,mail", "--children", "2")
    eventually(lambda: len(one(rig).children) == 2)
    record = one(rig)
    assert (record.pid, record.state, record.why) == (worker.pid, "consuming", "")
    assert record.queues == ("default", "mail")
    assert set(record.tasks) == {"tasks.slow", "tasks.aslow", "tasks.block", "tasks.nap"}
    assert record.slots == {"loop": 200, "threads": 16}
    assert set(record.children) == set(worker.children)
    assert record.app == "tasks:app"
    assert len(record.code) == 12
    assert abs(record.heard - time.time()) < 30
    assert worker.stop() == 0
    assert workers(rig).ls() == []


def test_a_killed_worker_is_forgotten(
    rig: Rig, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record ends by itself; until then who asks sees when it was last heard of."""
    rig.tasks(TASKS)
    worker = registered(rig, eventually)
    record = one(rig)
    worker.kill()
    assert one(rig).holder == record.holder
    monkeypatch.setattr(control, "FORGOTTEN", 0.1)
    step(control.announce(rig.module.app.connection.blocking(), record))
    eventually(lambda: not workers(rig).ls(), 2)


def test_different_code_can_be_told(rig: Rig, eventually: Eventually) -> None:
    """The digest of the code changes with the file of a task, and the signatures are listed."""
    rig.tasks(TASKS)
    registered(rig, eventually)
    registered(rig, eventually)
    assert len({each.code for each in workers(rig).ls()}) == 1
    rig.write(TASKS + "\n@app.task\ndef more(x: int) -> int:\n    return x\n")
    registered(rig, eventually)
    codes = Counter(each.code for each in workers(rig).ls())
    assert sorted(codes.values()) == [1, 2]
    assert Counter("tasks.more" in each.tasks for each in workers(rig).ls()) == {False: 2, True: 1}


def test_a_quiet_worker_claims_nothing_and_finishes(rig: Rig, eventually: Eventually) -> None:
    """When `quiet` returns nothing is claimed any more, until `resume`."""
    tasks = rig.tasks(TASKS)
    registered(rig, eventually)
    running = [tasks.slow.send("a"), tasks.aslow.send("b")]
    eventually(lambda: len(rig.executions()) == 2)
    workers(rig).quiet(one(rig).holder[:-3])
    later = tasks.app.send_many(tasks.nap.call() for _ in range(20))
    assert (one(rig).state, one(rig).why) == ("quiet", "it was told to claim nothing more")
    rig.open_gate()
    assert results(running) == ["a", "b"]
    eventually(lambda: rig.states() == {"succeeded": 2, "queued": 20})
    time.sleep(1.2)  # longer than the longest wait of a claim
    assert rig.states() == {"succeeded": 2, "queued": 20}
    workers(rig).resume(one(rig).holder)
    results(later)
    assert one(rig).state == "consuming"


def test_signals_do_the_same(rig: Rig, eventually: Eventually) -> None:
    """SIGTSTP and SIGCONT, also twice; a worker that was paused by SIGSTOP is not made quiet."""
    tasks = rig.tasks(TASKS)
    worker = registered(rig, eventually)
    for _ in range(2):
        worker.signal(signal.SIGTSTP)
        eventually(lambda: one(rig).state == "quiet")
        assert worker.process.poll() is None
    worker.freeze()
    worker.thaw()
    eventually(lambda: one(rig).state == "consuming")
    tasks.nap.send().result(10)
    worker.signal(signal.SIGTSTP)
    eventually(lambda: one(rig).state == "quiet")
    job = tasks.nap.send()
    assert worker.stop() == 0
    assert rig.row(job).state == "queued"


@pytest.mark.parametrize("now", [False, True])
def test_a_worker_is_stopped_from_afar(rig: Rig, eventually: Eventually, now: bool) -> None:
    """Gracefully, or at once: then what runs is given back."""
    tasks = rig.tasks(TASKS)
    worker = registered(rig, eventually)
    job = tasks.slow.send("a")
    eventually(lambda: len(rig.executions()) == 1)
    workers(rig).stop(one(rig).holder, now=now)
    if now:
        assert worker.wait(5) == 11
        assert (rig.row(job).state, rig.row(job).releases) == ("queued", 1)
        return
    eventually(lambda: one(rig).state == "draining")
    assert one(rig).why == "it was told to stop, with 1 job in hand"
    rig.open_gate()
    assert worker.wait(5) == 0
    assert job.result(1) == "a"


def test_a_hang_up_is_a_stop(rig: Rig, eventually: Eventually) -> None:
    """SIGHUP, which a terminal sends at its end, does not end a worker without a word."""
    rig.tasks(TASKS)
    worker = registered(rig, eventually)
    worker.signal(signal.SIGHUP)
    assert worker.wait(5) == 0
    assert "stopped: " in worker.said()


def test_what_is_not_there_is_said(rig: Rig, eventually: Eventually) -> None:
    """No such worker, several, or one that does not answer: an error each, and no command later."""
    tasks = rig.tasks(TASKS)
    with pytest.raises(WorkerNotFound, match="no worker's name begins with 'x'"):
        workers(rig).quiet("x")
    first = registered(rig, eventually)
    registered(rig, eventually)
    with pytest.raises(WorkerNotFound, match="several workers' names begin with ''"):
        workers(rig).quiet("")
    (name,) = [each.holder for each in workers(rig).ls() if each.pid == first.pid]
    os.kill(first.pid, signal.SIGSTOP)
    with pytest.raises(WorkerSilent, match="has not answered for 1 s"):
        workers(rig).stop(name, timeout=1, now=True)
    os.kill(first.pid, signal.SIGCONT)
    eventually(lambda: not rig.sql("select 1 from record where key like 'command/%/%'"))
    results([tasks.nap.send() for _ in range(20)])
    assert first.process.poll() is None


async def test_on_a_loop_the_twin_is_named(rig: Rig) -> None:
    """A verb that waits for a worker is refused where it would block the event loop."""
    rig.tasks(TASKS)
    with pytest.raises(BlockingCall, match=r"workers\.aquiet"):
        workers(rig).quiet("x")
    assert await workers(rig).als() == []
    with pytest.raises(WorkerNotFound):
        await workers(rig).aresume("x")


def test_stacks_name_the_jobs(rig: Rig, eventually: Eventually) -> None:
    """Where each call is, thread or coroutine, under the id of its job; the supervisor too."""
    tasks = rig.tasks(TASKS)
    worker = registered(rig, eventually)
    plain, coroutine = tasks.slow.send("a"), tasks.aslow.send("b")
    eventually(lambda: len(rig.executions()) == 2)
    text = workers(rig).stack(one(rig).holder)
    assert f"== supervisor {worker.pid}\n" in text
    assert f"== child {worker.children[0]}\n" in text
    _, _, after = text.partition(f" runs job {plain.id} tasks.slow attempt 1\n")
    assert ", in hold\n" in after
    assert f"coroutine job {coroutine.id} tasks.aslow attempt 1\n" in text
    assert ", in ahold\n" in text
    assert "renew.py" in text
    rig.open_gate()


def test_stacks_of_a_blocked_loop(rig: Rig, eventually: Eventually) -> None:
    """A coroutine that blocks its loop is named, and the line it is at; by SIGUSR1 in the log."""
    tasks = rig.tasks(TASKS)
    worker = registered(rig, eventually)
    job = tasks.block.send()
    eventually(lambda: rig.marks() == ["block"])
    worker.signal(signal.SIGUSR1)
    eventually(lambda: "its event loop is blocked" in worker.said())
    said = worker.said()
    assert f"runs job {job.id} tasks.block attempt 1" in said
    assert " in hold\\n" in said  # as JSON has it
    text = workers(rig).stack(one(rig).holder)
    assert f"runs job {job.id} tasks.block attempt 1\n" in text
    assert " in hold\n" in text
    rig.open_gate()
    assert job.result(5) is None


def test_stacks_of_a_stopped_child(rig: Rig, eventually: Eventually) -> None:
    """A child that hears nothing does not keep the others' stacks."""
    rig.tasks(TASKS)
    worker = registered(rig, eventually, "--children", "2")
    eventually(lambda: len(one(rig).children) == 2)
    stopped = worker.children[0]
    os.kill(stopped, signal.SIGSTOP)
    text = workers(rig).stack(one(rig).holder)
    assert text.count("== child ") == 2
    assert text.count("is it stopped?") == 1
    os.kill(stopped, signal.SIGCONT)
    assert worker.stop() == 0


def test_a_waiting_worker_says_so_when_it_can(rig: Rig, eventually: Eventually) -> None:
    """While the store is away commands are not answered; afterwards the worker is as before."""
    tasks = rig.tasks(TASKS)
    registered(rig, eventually)
    with kept_by_one_of_ours(rig):
        eventually(lambda: "no jobs are fetched: " in rig.workers[0].said())
    eventually(rig.settled)
    workers(rig).quiet(one(rig).holder)
    workers(rig).resume(one(rig).holder)
    tasks.nap.send().result(10)
