"""A hundred thousand dates before RabbitMQ: what is due begins, the rest waits, no restart loses any."""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime

import pytest

from ropeway.stepping import step
from tests.conftest import Eventually
from tests.servers.rabbitmq import RabbitMQ
from tests.worker.rig import Rig

COUNT = int(os.environ.get("DELAYED", "3000"))
"""How many messages are delayed. 100000 needs some minutes, and asserts how late the due ones are."""

MONTH = 30 * 86_400
BEGIN = 4 + COUNT / 2_000
"""Seconds until the first is due: then all are sent, and the worker is ready."""

TASKS = """
@app.task
async def begins(due: float, n: int) -> None:
    witness(f"{n}:{time.time() - due:.4f}")

@app.task
def plain(n: int) -> None:
    witness(f"plain{n}")
"""


@pytest.mark.timeout(60 + COUNT / 100)
def test_dates_from_a_second_to_a_month(
    rig: Rig, rabbitmq: RabbitMQ, eventually: Eventually
) -> None:
    """One in fifty comes due within seconds, at its time and once; the server restarts between.

    Broken: a delay holds up those behind it, ends before its time, or is forgotten by a restart.
    """
    rig.set(broker=rabbitmq.fresh())
    tasks = rig.tasks(TASKS)
    began = time.time()
    soon = [BEGIN + 5 * n / (COUNT // 50) for n in range(COUNT // 50)]
    chance = random.Random(7)
    delays = soon + [chance.uniform(3_600, MONTH) for _ in range(COUNT - len(soon))]
    due = [began + each for each in delays]
    mixed = chance.sample(range(COUNT), COUNT)
    jobs = tasks.app.send_many(
        tasks.begins.using(at=datetime.fromtimestamp(due[n], UTC)).call(due[n], n) for n in mixed
    )
    tasks.app.send_many(tasks.plain.using(queue="later").call(n) for n in range(100))
    worker = rig.worker("--queues", "default")
    assert time.time() < began + BEGIN, "it was sent too late to tell how late anything began"
    half = len(soon) // 2
    eventually(lambda: len(rig.marks()) >= half, timeout=60)
    # RabbitMQ 3.10 notes some seconds later who leads a new queue.
    rabbitmq.ctl("eval", "[dets:sync(T) || T <- dets:all()].")
    rabbitmq.server.kill()
    rabbitmq.stop()
    rabbitmq.start()
    eventually(lambda: len(rig.marks()) >= len(soon), timeout=60)
    ran = dict(mark.split(":") for mark in rig.marks())
    assert ran.keys() == {str(n) for n in range(len(soon))}
    assert len(rig.marks()) == len(soon)
    assert all(float(lateness) >= 0 for lateness in ran.values())
    _tell([float(ran[str(n)]) for n in range(half)])
    assert worker.stop() == 0
    rig.worker("--queues", "later")
    eventually(lambda: len(rig.marks()) >= len(soon) + 100, timeout=60)
    (waiting,) = step(rig.store.stats(["default"], COUNT))
    assert waiting.delayed == len(jobs) - len(soon)


def _tell(lateness: list[float]) -> None:
    lateness.sort()
    p50, p99, most = (lateness[int(at * (len(lateness) - 1))] for at in (0.5, 0.99, 1))
    print(
        f"of {COUNT} dates {len(lateness)} came due before the restart, and began "
        f"{1000 * p50:.1f} ms (p50), {1000 * p99:.1f} ms (p99), {1000 * most:.1f} ms (most) after"
    )
    if COUNT >= 100_000:
        assert most < 0.2
