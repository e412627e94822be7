"""What rests in an outbox reaches its broker: once, whoever dies, and whoever is away."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from ropeway.backends.memory import MemoryBackend
from ropeway.clock import ManualClock
from ropeway.connect import Connection
from ropeway.errors import BackendUnavailable
from ropeway.message import Message
from ropeway.outbox import OUTBOX_QUEUE, forward, resting
from ropeway.states import State
from ropeway.stepping import step
from ropeway.store import Filter
from ropeway.testing.conformance.steps import ids, message
from ropeway.transition import Transition
from ropeway.wrappers.half import LEASE, Half
from tests.conftest import Eventually
from tests.worker.rig import Rig


class World:
    """An outbox and a broker, each in this process."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.kept, self.broker = MemoryBackend(self.clock), MemoryBackend(self.clock)
        self.outbox = Half(self.kept)

    async def put(self, *messages: Message) -> None:
        """Have messages rest in the outbox, as a transaction that was committed leaves them."""
        await self.kept.commit([Transition(publish=(resting(each),)) for each in messages])

    async def arrived(self) -> list[str]:
        """Return the ids of what the broker has."""
        return sorted(each.message.id for each in (await self.broker.search(Filter())).jobs)


@pytest.fixture
def world() -> World:
    """Return an outbox and a broker, empty."""
    return World()


async def test_what_rests_is_forwarded_whole(world: World) -> None:
    """With all its fields, under its own id and unsigned as it was; the outbox is empty then."""
    sent = [message(queue="q", body=b"\x00", key="k", band=7), message(delay=5.0)]
    await world.put(*sent)
    assert await forward(world.outbox, world.broker, 10) == 2
    found = (await world.broker.search(Filter())).jobs
    assert {each.message.id: each.message for each in found} == {
        each.id: replace(each, signature=b"") for each in sent
    }
    assert (await world.kept.search(Filter())).jobs == []
    assert await forward(world.outbox, world.broker, 10) == 0


async def test_who_dies_between_the_two_is_followed_by_another(world: World) -> None:
    """The broker knows the message again, and it is there once."""
    sent = message()
    await world.put(sent)
    await world.outbox.get(OUTBOX_QUEUE, 1)
    arrived = replace(sent, signature=b"")
    await world.broker.commit([Transition(publish=(arrived,))])  # and dies
    other = Half(world.kept)
    assert await forward(other, world.broker, 10) == 0
    world.clock.advance(LEASE + 1)
    assert await forward(other, world.broker, 10) == 1
    assert await world.arrived() == [sent.id]
    assert (await world.kept.search(Filter())).jobs == []


async def test_a_broker_that_is_away_leaves_all_where_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next try, by whomever, need not wait for a lease."""
    sent = [message() for _ in range(3)]
    await world.put(*sent)

    async def away(transitions: object) -> None:
        raise BackendUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(world.broker, "commit", away)
        with pytest.raises(BackendUnavailable):
            await forward(world.outbox, world.broker, 10)
    assert await forward(Half(world.kept), world.broker, 10) == 3
    assert await world.arrived() == sorted(ids(sent))


async def test_what_the_broker_refuses_for_good_is_kept(world: World) -> None:
    """Another message has its id: it is in quarantine in the outbox, and holds nothing up."""
    known, after = message(body=b"1"), message()
    await world.broker.commit([Transition(publish=(known,))])
    await world.put(message(id=known.id, body=b"2"), after)
    assert await forward(world.outbox, world.broker, 10) == 1
    assert after.id in await world.arrived()
    (kept,) = (await world.kept.search(Filter())).jobs
    assert kept.state is State.QUARANTINED


def test_any_worker_forwards(rig: Rig, eventually: Eventually) -> None:
    """Workers that are killed all the time forward each message, and each is run and settled."""
    outbox = f"sqlite:///{rig.folder / 'outbox.db'}"
    rig.set(outbox=outbox)
    tasks = rig.tasks("""
        @app.task
        async def work(x: int) -> int:
            witness()
            return x
    """)
    calls = [tasks.work.call(x).message for x in range(600)]
    kept = Connection(outbox).blocking()
    step(kept.open())
    step(kept.commit([Transition(publish=(resting(each),)) for each in calls]))
    for _ in range(2):
        before = len(rig.executions())
        worker = rig.worker("--children", "1")
        eventually(lambda: len(rig.executions()) > before)  # noqa: B023  called at once
        os.kill(worker.pid, signal.SIGKILL)
        worker.kill()
    rig.worker("--children", "1")
    eventually(lambda: rig.states()["succeeded"] == 600, 30)
    assert set(rig.times_run()) == set(ids(calls))
    step(kept.close())


def test_an_outbox_that_is_away_is_waited_for(
    rig: Rig, eventually: Eventually, tmp_path: Path
) -> None:
    """The worker works on; the log says what is missing."""
    place = tmp_path / "outbox"
    place.write_text("a file where a folder has to be")
    rig.set(outbox=f"sqlite:///{place / 'outbox.db'}")
    tasks = rig.tasks("""
        @app.task
        def work(x: int) -> int:
            return x
    """)
    worker = rig.worker()
    assert tasks.work.send(1).result(10) == 1
    eventually(lambda: "no messages are forwarded" in worker.said())
    place.unlink()
    eventually(lambda: "messages are forwarded from the outbox again" in worker.said())
