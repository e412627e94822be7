"""RabbitMQ alone: calls and their answers, without a store."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ropeway import Ropeway
from ropeway.backends.rabbitmq.address import parse
from ropeway.backends.rabbitmq.session import Session
from ropeway.errors import ResultTimeout, TaskFailed, Unsupported
from tests.cli.support import call
from tests.conftest import Eventually
from tests.servers.rabbitmq import RabbitMQ
from tests.worker.rig import Rig, results

TASKS = """
@app.task
def add(x: int, y: int) -> int:
    witness("add")
    return x + y

@app.task(retries=0)
def fail() -> None:
    raise ValueError("never")

@app.task(retries=RetryPolicy(retries=2, base=0.05, jitter=False))
async def flaky(x: int) -> int:
    witness("flaky")
    if current.attempt < 3:
        raise ValueError("not yet")
    return x

@app.task(retries=RetryPolicy(retries=1, base=3600, cap=3600, jitter=False))
def later() -> None:
    witness("later")
    raise ValueError("in an hour")

@app.task
def held(x: int) -> int:
    witness("held")
    hold()
    return x

@app.task
def sized(text: str) -> int:
    return len(text)

@app.task
def large(size: int) -> str:
    return "x" * size

@app.task
async def outer(x: int) -> int:
    return await add.send(x, 1).aresult(20)
"""


@pytest.fixture
def alone(rig: Rig, rabbitmq: RabbitMQ) -> Rig:
    """Return a place with a virtual host of its own, and no store."""
    rig.set(url=rabbitmq.fresh())
    return rig


def test_calls_and_their_answers(alone: Rig, eventually: Eventually) -> None:
    """Results, failures, retries, calls from tasks, from event loops and from another process."""
    tasks = alone.tasks(TASKS)
    with pytest.raises(ResultTimeout):
        tasks.add.send(0, 0).result(0.2)  # nobody works
    early = [tasks.add.send(x, 1) for x in range(50)]
    alone.worker("--children", "2")
    assert results(early, 20) == list(range(1, 51))
    with pytest.raises(TaskFailed, match=r"tasks\.fail.*ValueError: never"):
        tasks.fail.send().result(20)
    with pytest.raises(TaskFailed, match="max_message"):
        tasks.large.send(2_000_000).result(20)
    with pytest.raises(Unsupported, match="max_message"):
        tasks.sized.send("x" * 2_000_000)
    assert tasks.flaky.send(7).result(20) == 7
    assert alone.marks().count("flaky") == 3
    assert tasks.outer.send(4).result(20) == 5

    async def elsewhere() -> Any:
        found = await tasks.add.send(2, 3).aresult(20), await tasks.add.asend(3, 4)
        await tasks.app.aclose()
        return found

    value, sent = asyncio.run(elsewhere())
    assert (value, sent.result(20)) == (5, 7)  # also of a loop that has ended
    script = "import tasks; print(tasks.add.send(20, 22).result(20))"
    other = subprocess.run(
        [sys.executable, "-c", script], cwd=alone.folder, capture_output=True, check=True
    )
    assert other.stdout == b"42\n"
    url = alone.module.app.settings.url
    eventually(lambda: depth(url, "ropeway.dead") == 2)  # what failed for good is not thrown away
    assert depth(url, "default") == depth(url, "default@loop") == 0


@pytest.mark.timeout(60)
def test_a_worker_is_killed(alone: Rig, eventually: Eventually) -> None:
    """What it ran, and what it kept for a retry in an hour, is run again by another."""
    tasks = alone.tasks(TASKS)
    jobs = [tasks.held.send(x) for x in range(3)]
    tasks.later.send()
    first = alone.worker("--threads", "10")
    eventually(lambda: sorted(alone.marks()) == ["held"] * 3 + ["later"], 20)
    eventually(lambda: "in an hour" in first.said(), 20)
    first.kill()
    alone.worker("--threads", "10")
    eventually(lambda: sorted(alone.marks()) == ["held"] * 6 + ["later"] * 2, 20)
    assert {each.attempt for each in alone.executions()} == {1}
    alone.open_gate()
    assert results(jobs, 20) == [0, 1, 2]


@pytest.mark.timeout(60)
def test_a_child_and_a_stop(alone: Rig, eventually: Eventually) -> None:
    """A call whose process dies is tried again here; what a worker gives back at its end goes on."""
    tasks = alone.tasks(TASKS)
    job = tasks.held.send(1)
    alone.set(grace=0)
    first = alone.worker()
    eventually(lambda: alone.marks() == ["held"], 20)
    os.kill(first.children[0], signal.SIGKILL)
    eventually(lambda: len(alone.executions()) >= 2, 20)
    began, again = (each.attempt for each in alone.executions())
    assert began < again  # perhaps by more than one: while there is no child, it is given back
    first.signal(signal.SIGQUIT)
    first.wait(20)
    alone.open_gate()
    alone.worker()
    assert job.result(20) == 1


def test_what_needs_a_store_is_refused(alone: Rig) -> None:
    """When it is sent or asked for, with the reason and what to do."""
    tasks = alone.tasks(TASKS + "\n@app.task(limits=['api'])\ndef limited() -> None: ...\n")
    app, add = tasks.app, tasks.add
    job = add.send(1, 2)
    refused: list[Callable[[], object]] = [
        lambda: add.using(delay=1).send(1, 2),
        lambda: add.using(priority=9).send(1, 2),
        lambda: add.using(key="k").send(1, 2),
        lambda: add.using(unique=True).send(1, 2),
        lambda: add.using(expires=5).send(1, 2),
        tasks.limited.send,
        lambda: app.topic("news", str).publish("x"),
        lambda: app.schedules.add("s", add.call(1, 2), cron="* * * * *"),
        lambda: add.using(exchange=app.exchange("x")).send(1, 2),
        lambda: app.job(job.id),
        app.quarantine.groups,
        job.status,
        job.record,
        job.snapshot,
        job.cancel,
        job.retry,
        job.remove,
        lambda: next(job.watch(1)),
        lambda: asyncio.run(entered(app)),
        lambda: Ropeway(broker="memory://", store="amqp://u:secret@host"),
    ]
    for verb in refused:
        with pytest.raises(Unsupported) as told:
            verb()
        assert "store=" in told.value.hint, told.value
        assert "secret" not in str(told.value)
    shown = call("jobs", "ls")
    assert shown.exit_code != 0 and "store=" in shown.stderr
    known = {each["name"]: each for each in json.loads(call("doctor", "--json").stdout)}
    assert "not store" in known["abilities"]["fact"]


def test_what_an_app_declares_is_refused_at_the_start(alone: Rig) -> None:
    """A worker that could not keep a promise does not begin."""
    alone.write(TASKS + "\n@app.schedule('* * * * *')\n@app.task\ndef tick() -> None: ...\n")
    worker = alone.worker(ready=False)
    assert worker.wait(20) != 0
    assert "a schedule" in worker.said() and "store=" in worker.said()


@pytest.mark.timeout(60)
def test_connections_are_cut(alone: Rig, rabbitmq: RabbitMQ, eventually: Eventually) -> None:
    """What runs meanwhile is not begun again by the same worker, and its answer still comes."""
    tasks = alone.tasks(TASKS)
    job = tasks.held.send(5)
    alone.worker()
    eventually(lambda: alone.marks() == ["held"], 20)
    rabbitmq.ctl(
        "close_all_connections", "--vhost", parse(alone.module.app.settings.url).vhost, "x"
    )
    assert tasks.add.send(1, 1).result(30) == 2  # all are connected again
    alone.open_gate()
    assert job.result(30) == 5
    assert alone.marks().count("held") == 1
    eventually(lambda: depth(alone.module.app.settings.url, "default") == 0)


async def entered(app: Ropeway) -> None:
    """Start a worker inside this process."""
    async with app.worker():
        pass


def depth(url: str, queue: str) -> int:
    """Count what is ready in a queue of the server, asked by somebody else."""

    async def ask() -> int:
        from ropeway.backends.rabbitmq.queues import Declared

        session = Session(parse(url))
        try:
            return (await Declared(await session.wire()).depths([queue]))[queue]
        finally:
            await session.close()

    return asyncio.run(ask())
