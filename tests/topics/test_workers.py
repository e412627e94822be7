"""Durable subscriptions in workers that are killed, frozen and restarted, and publishers in a hurry."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections import defaultdict
from typing import Any

import pytest

from ropeway.message import JobRecord
from ropeway.states import State
from tests.places import KINDS, url_of
from tests.servers.rabbitmq import RabbitMQ
from tests.worker.rig import Rig, Worker, until

TASKS = """
from msgspec import Struct

class Moved(Struct):
    account: str
    number: int

moved = app.topic("account.moved", Moved, key="account", partitions=2)

def note(name, event):
    witness(f"{name}:{event.account}:{event.number}", file=name)

@moved.subscribe("loop", from_="start")
async def in_loop(event: Moved):
    note("loop", event)

@moved.subscribe("thread", from_="start")
def in_thread(event: Moved):
    note("thread", event)

@app.topics.subscribe("account.#", "slow", from_="start")
async def slow(event: Moved):
    await asyncio.sleep(0)
    note("slow", event)
"""

PUBLISHER = """
import random, sys, time
from tasks import Moved, app, moved
name, count = sys.argv[1], int(sys.argv[2])
chance = random.Random(name)
topic, end, undo = moved, None, None
if app.settings.url.startswith("postgres"):
    # In transactions of the publisher's own, which are open for any time, and some are undone.
    import psycopg
    connection = psycopg.connect(app.settings.url.partition("?")[0])
    topic, end, undo = moved.using(connection=connection), connection.commit, connection.rollback
sent = 0
while sent < count:
    n = min(chance.randint(1, 9), count - sent)
    events = [Moved(account=f"{name}{i % 3}", number=i) for i in range(sent, sent + n)]
    if end is None or chance.random() < 0.2:
        moved.publish_many(events)
    else:
        topic.publish_many(events[:1])
        time.sleep(chance.choice([0, 0.01, 0.3]) * chance.random())
        topic.publish_many(events[1:])
        if chance.random() < 0.2:
            undo()
            continue
        end()
    sent += n
    time.sleep(chance.random() / 300)
"""

COUNT = 80


def _publishers(rig: Rig, names: str) -> list[subprocess.Popen[bytes]]:
    rig.folder.joinpath("publisher.py").write_text(PUBLISHER)
    commands = [[sys.executable, "publisher.py", name, str(COUNT)] for name in names]
    return [subprocess.Popen(command, cwd=rig.folder) for command in commands]


def _seen(rig: Rig, name: str) -> dict[str, list[int]]:
    """Return what a subscription has handled, by account, in order."""
    found = defaultdict[str, list[int]](list)
    for each in rig.executions(name):
        _, account, number = each.mark.split(":")
        found[account].append(int(number))
    return found


def _whole(seen: dict[str, list[int]]) -> bool:
    return sorted(n for numbers in seen.values() for n in set(numbers)) == sorted(
        list(range(COUNT)) * 4
    )


def _firsts(numbers: list[int]) -> list[int]:
    return list(dict.fromkeys(numbers))


def _places(rig: Rig, kind: str, request: pytest.FixtureRequest) -> None:
    """Have the rig use a place for jobs, or a pair: broker and store."""
    broker, _, store = kind.rpartition("+")
    rig.set(url=url_of(store, rig.folder, request))
    if broker == "rabbitmq":
        node: RabbitMQ = request.getfixturevalue("rabbitmq")
        rig.set(broker=node.fresh())
    elif broker:
        rig.set(broker=url_of(broker, rig.folder, request))


@pytest.mark.parametrize("kind", [*KINDS, "redis+postgres", "rabbitmq+sqlite"])
def test_no_event_is_skipped_or_lost_when_workers_are_killed(
    rig: Rig, kind: str, request: pytest.FixtureRequest
) -> None:
    """Four publish at once, three subscribe, and workers die at random: each gets all, in order."""
    _places(rig, kind, request)
    module = rig.tasks(TASKS)
    publishers, chance = list[subprocess.Popen[bytes]](), random.Random(kind)
    # Each time 160 more: whatever was done before the worker died, the next one has enough to do.
    for names in ("ab", "cd"):
        goal = len(rig.executions("slow")) + chance.randrange(1, 40)
        publishers += _publishers(rig, names)
        worker = rig.worker(ready=False)
        until(lambda goal=goal: len(rig.executions("slow")) >= goal, 40)  # type: ignore[misc]  # bound
        worker.kill()
    assert [each.wait(40) for each in publishers] == [0] * 4
    rig.worker(ready=False)
    subscriptions = ("loop", "thread", "slow")
    until(lambda: all(_whole(_seen(rig, name)) for name in subscriptions), 40)
    for name in subscriptions:
        for numbers in _seen(rig, name).values():
            assert _firsts(numbers) == sorted(set(numbers)), (name, numbers)
    until(lambda: not any(each.lag for each in module.moved.subscriptions()))
    assert [each.missed for each in module.moved.subscriptions()] == [0] * 6


def test_a_zombie_does_not_move_the_cursor(rig: Rig) -> None:
    """A frozen worker that goes on later may run events once more, and changes nothing by that."""
    module = rig.tasks("""
        topic = app.topic("t", int)

        @topic.subscribe("s")
        async def handle(event: int):
            witness(str(event))
            if event == 1:
                await ahold()
    """)
    module.app.topics.declare()
    first = rig.worker()
    module.topic.publish_many([1, 2, 3])
    until(lambda: len(rig.marks()) == 3)
    first.freeze()
    second = rig.worker()
    rig.open_gate()
    # What the frozen one had begun is run by the other, as jobs; then what is new.
    until(lambda: len(rig.marks()) >= 4 and _lag(module) == 0)
    module.topic.publish(4)
    until(lambda: "4" in rig.marks())
    first.thaw()
    until(lambda: "taken it over" in first.said() or "given back" in first.said())
    module.topic.publish(5)
    until(lambda: "5" in rig.marks())
    until(lambda: _lag(module) == 0)
    assert rig.marks().count("5") == 1
    assert [each.offset for each in module.topic.subscriptions()] == [5]
    assert second.stop() == 0
    assert first.stop() == 0


def _lag(module: Any) -> int:
    return sum(each.lag for each in module.topic.subscriptions())


def test_an_event_that_kills_its_process_ends_in_quarantine(rig: Rig) -> None:
    """It is found out as any other job would be; the others of its batch, and of its key, go on."""
    module = rig.tasks("""
        topic = app.topic("t", int, key=str)

        @topic.subscribe("s", from_="start")
        async def handle(event: int):
            if event == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            witness(str(event))
    """)
    module.topic.publish_many([1, 2, 3, 4])
    module.topic.publish(3, key="4")
    module.topic.publish(4)
    rig.worker()
    until(lambda: _states(rig, "t/s").count(State.QUARANTINED) == 2, 50)
    until(lambda: _lag(module) == 0)
    module.topic.publish(5)
    until(lambda: "5" in rig.marks())
    assert set(rig.marks()) == {"1", "2", "4", "5"}
    until(lambda: rig.marks().count("4") >= 2)


def _states(rig: Rig, task: str) -> list[State]:
    found: list[JobRecord] = rig.jobs()
    return [each.state for each in found if each.message.task == task]


def test_a_worker_that_stops_hands_its_cursors_over_at_once(rig: Rig) -> None:
    """What runs ends first, and nothing is run twice; the next one goes on without waiting."""
    rig.set(lease=60)
    module = rig.tasks("""
        topic = app.topic("t", int)

        @topic.subscribe("s", from_="start")
        async def handle(event: int):
            witness(str(event))
            if not event:
                await ahold()
    """)
    module.topic.publish_many(range(5))
    first = rig.worker()
    until(lambda: len(rig.marks()) == 5)
    second = rig.worker()
    first.signal(signal.SIGTERM)
    until(lambda: "stopping" in first.said())
    rig.open_gate()
    assert first.wait() == 0
    module.topic.publish_many([5, 6])
    until(lambda: len(rig.marks()) == 7)
    assert sorted(rig.marks()) == ["0", "1", "2", "3", "4", "5", "6"]
    assert second.stop() == 0


def test_a_replay_and_a_rewind_reach_the_worker_that_holds_the_cursor(rig: Rig) -> None:
    """A replay has a cursor of its own, which ends; set back, the holder goes on from there."""
    module = rig.tasks("""
        topic = app.topic("t", int)

        @topic.subscribe("s", from_="start")
        async def handle(event: int):
            witness(str(event))

        @topic.subscribe("other", from_="start")
        async def other(event: int):
            witness(str(event), file="other")
    """)
    module.topic.publish_many([1, 2, 3])
    rig.worker()
    until(lambda: len(rig.marks()) == 3 and _lag(module) == 0)
    assert module.topic.replay("s", 2, dry_run=True) == 2
    assert module.topic.replay("s", 2) == 2
    until(lambda: not any(each.replay for each in module.topic.subscriptions()))
    assert rig.marks() == ["1", "2", "3", "2", "3"]
    assert module.topic.rewind("s", "start") == 3
    until(lambda: len(rig.marks()) == 8)
    until(lambda: _lag(module) == 0)
    assert rig.marks()[5:] == ["1", "2", "3"]
    assert len(rig.executions("other")) == 3
    module.topic.unsubscribe("s")
    module.topic.publish(4)
    until(lambda: len(rig.executions("other")) == 4)
    assert len(rig.marks()) == 8
    assert [each.name for each in module.topic.subscriptions()] == ["other"]


def test_what_takes_long_holds_up_nothing_but_its_key(rig: Rig) -> None:
    """Events behind it are done and noted; a crash then runs it again, and not those."""
    module = rig.tasks("""
        topic = app.topic("t", int)

        @topic.subscribe("s", from_="start")
        async def handle(event: int):
            witness(str(event))
            if event == 0:
                await ahold()
    """)
    module.topic.publish_many(range(300))
    worker: Worker = rig.worker()
    until(lambda: len(rig.marks()) == 300)
    until(lambda: _lag(module) == 1)
    worker.kill()
    rig.open_gate()
    rig.worker()
    until(lambda: _lag(module) == 0)
    until(lambda: rig.marks().count("0") == 2)
    assert len(rig.marks()) == 301


def test_a_backlog_is_shared_among_the_workers_that_are_there(rig: Rig) -> None:
    """The first worker has taken every partition; another one that comes later gets some of them."""
    module = rig.tasks("""
        topic = app.topic("t", int, key=str, partitions=4)

        @topic.subscribe("s", from_="start")
        async def handle(event: int):
            time.sleep(0.0002)
            witness(str(event))
    """)
    module.topic.publish_many(range(40_000))
    rig.worker()
    until(lambda: len(rig.marks()) > 1000)
    rig.worker()
    until(lambda: len({each.pid for each in rig.executions()}) == 2, 20)
