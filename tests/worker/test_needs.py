"""Calls that need a resource run where it is offered, and no more of them at once."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest

from ropeway.errors import BadArguments
from tests.conftest import Eventually
from tests.worker.rig import Rig

TASKS = """
@app.task(needs={"gpu": 1})
def train(mark: str) -> str:
    witness(f"+{mark}")
    time.sleep(0.03)
    witness(f"-{mark}")
    return mark

@app.task
def plain(x: int) -> int:
    return x
"""


def test_who_offers_nothing_leaves_it(rig: Rig, eventually: Eventually) -> None:
    """Another worker comes with a resource, and does the work; the first did all else meanwhile."""
    tasks = rig.tasks(TASKS)
    job = tasks.train.send("a")
    rig.worker()
    assert [tasks.plain.send(i).result(timeout=10) for i in range(20)] == list(range(20))
    assert rig.row(job).attempt == 0
    rig.worker("--offer", "gpu=1")
    assert job.result(timeout=10) == "a"
    assert rig.row(job).attempt == 1


def test_no_more_at_once_than_is_offered(rig: Rig, eventually: Eventually) -> None:
    """Two of eight slots, whatever waits; also for calls that need two at once."""
    tasks = rig.tasks(TASKS)
    jobs = tasks.app.send_many(tasks.train.call(f"{i}") for i in range(30))
    both = tasks.train.using(needs={"gpu": 2})
    jobs += tasks.app.send_many(both.call(f"b{i}") for i in range(5))
    start = time.monotonic()
    rig.worker("--offer", "gpu=2", "--children", "1")
    assert {job.result(timeout=20) for job in jobs} == {
        *map(str, range(30)),
        *(f"b{i}" for i in range(5)),
    }
    running, most = 0, 0
    for sign, mark in re.findall(r"([+-])(b?\d+)", " ".join(rig.marks())):
        running += (2 if mark.startswith("b") else 1) * (1 if sign == "+" else -1)
        most = max(most, running)
    assert most == 2
    assert {row.attempt for row in rig.rows()} == {1}
    assert time.monotonic() - start < 15


def test_a_key_holds_and_a_pause_does(rig: Rig, eventually: Eventually) -> None:
    """Calls wait in a queue of their own beside the one they were sent to, which is paused as one."""
    tasks = rig.tasks(TASKS)
    assert tasks.train.options.queue == "default[gpu=1]"
    moved = tasks.train.using(queue="night", delay=timedelta(0))
    assert moved.call("x").message.queue == "night[gpu=1]"
    assert tasks.train.using(needs={}).call("x").message.queue == "default"
    with pytest.raises(BadArguments, match="needs="):
        tasks.train.using(needs={"gpu": 0})
    with pytest.raises(BadArguments, match="wait that need"):
        tasks.train.using(queue="default[gpu=1]")


def test_both_kinds_share_what_is_offered(rig: Rig, eventually: Eventually) -> None:
    """A coroutine function and a plain one need the one thing there is, and both get it."""
    tasks = rig.tasks("""
        @app.task(needs={"gpu": 1})
        def plain(x: int) -> int:
            return x

        @app.task(needs={"gpu": 1})
        async def coroutine(x: int) -> int:
            return x
    """)
    worker = rig.worker("--offer", "gpu=1")
    for task in (tasks.plain, tasks.coroutine) * 3:
        assert task.send(1).result(timeout=10) == 1
    assert worker.stop() == 0


def test_one_that_needs_all_is_not_passed_by_for_ever(rig: Rig, eventually: Eventually) -> None:
    """Small ones that never end together go on and on, until it is its turn."""
    tasks = rig.tasks("""
        @app.task(needs={"gpu": 1})
        async def small(pause: float) -> None:
            await asyncio.sleep(pause)
            if not gate():
                await small.asend(0.2)

        @app.task(needs={"gpu": 2})
        async def large() -> str:
            return "large"
    """)
    for number in range(6):
        tasks.small.send(0.1 if number == 0 else 0.2)
    rig.worker("--offer", "gpu=2")
    eventually(lambda: rig.states()["succeeded"] >= 4)
    assert tasks.large.send().result(timeout=10) == "large"
    rig.open_gate()
    eventually(rig.settled)
