"""Firing: exactly one message for each instant, whoever looks, dies, or has a wrong clock."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import time
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ropeway.backends.memory import MemoryBackend
from ropeway.clock import ManualClock
from ropeway.config import load
from ropeway.connect import Connection
from ropeway.cron.timetable import Timetable
from ropeway.schedules.changing import add, edit, made, pause, remove, resume, run_now
from ropeway.schedules.looking import history
from ropeway.schedules.record import put
from ropeway.store import Backend
from ropeway.transition import Answer, Put, Transition
from ropeway.worker.schedule import APART, POLL, STEP_IN, Scheduler, delay_of
from ropeway.wrappers.delegate import Delegate
from tests.conftest import AsyncEventually
from tests.schedules.rig import call, dues, every_second, jobs, late, sent, wanted

FIRST = 1_800_000_001
AHEAD = int(os.environ.get("SCHEDULES_AHEAD", "10000"))


class Killed(BaseException):
    """What a worker does not survive."""


class Deadly(Delegate):
    """A backend whose user dies at the nth step, before it is done or after."""

    def __init__(self, inner: Backend, steps: int, *, after: bool) -> None:
        super().__init__(inner)
        self.left, self._after = steps, after

    async def _step(self, work: Any) -> Any:
        self.left -= 1
        if self.left == 0 and not self._after:
            work.close()
            raise Killed
        answer = await work
        if self.left == 0:
            raise Killed
        return answer

    async def now(self) -> float:
        return await self._step(self.inner.now())  # type: ignore[no-any-return]

    async def get(self, keys: Sequence[str]) -> Any:
        return await self._step(self.inner.get(keys))

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> Any:
        return await self._step(self.inner.scan(prefix, after, limit))

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        return await self._step(self.inner.commit(transitions))  # type: ignore[no-any-return]


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that the test moves."""
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> MemoryBackend:
    """Return an empty backend on memory."""
    return MemoryBackend(clock)


async def test_whoever_dies_at_any_step_changes_nothing(
    store: MemoryBackend, clock: ManualClock
) -> None:
    """A worker that dies before or after each of its steps, and another that goes on."""
    names = await every_second(store, 3)
    deaths = 0
    for second, (step, after) in enumerate(itertools.product(range(1, 9), (False, True))):
        clock.advance(1.0)
        dying = Scheduler(Deadly(store, step, after=after), "dying")
        try:
            await dying.run_once()
        except Killed:
            deaths += 1
        await Scheduler(store, "alive").run_once()
        assert await sent(store) == wanted(names, FIRST, FIRST + second)
        assert len(await dues(store)) == len(names)
    assert deaths >= 8


async def test_any_number_at_once(store: MemoryBackend, clock: ManualClock) -> None:
    """Who look at the same time, and some of them late: one message for each instant."""
    names = await every_second(store, 20)
    rng = random.Random(5)
    for second in range(8):
        clock.advance(1.0)
        looking = [Scheduler(Slow(store, rng), f"w{each}") for each in range(5)]
        await asyncio.gather(*(each.run_once() for each in looking))
        assert await sent(store) == wanted(names, FIRST, FIRST + second)


class Slow(Delegate):
    """Lets others have a turn before each step."""

    def __init__(self, inner: Backend, rng: random.Random) -> None:
        super().__init__(inner)
        self._rng = rng

    async def _others(self) -> None:
        for _ in range(self._rng.randrange(4)):
            await asyncio.sleep(0)

    async def get(self, keys: Sequence[str]) -> Any:
        await self._others()
        return await self.inner.get(keys)

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        await self._others()
        return await self.inner.commit(transitions)


async def test_clocks_that_jump(store: MemoryBackend, clock: ManualClock) -> None:
    """Back: nothing fires again. Forward: what was jumped over is missed, and made up for once."""
    names = await every_second(store, 2, grace=30.0)
    worker = Scheduler(store, "w")
    clock.advance(1.0)
    await worker.run_once()
    clock.step_date(-3_600.0)
    for _ in range(3):
        clock.advance(1.0)
        await worker.run_once()
    assert await sent(store) == wanted(names, FIRST, FIRST)
    clock.step_date(3_600.0 - 3.0)
    clock.advance(3_601.0)  # and an hour in which nobody looked
    await worker.run_once()
    found = await sent(store)
    assert set(found.values()) == {1}
    assert len(found) == len(names) * (1 + 31)  # the last half minute is not late
    missed = [each for each in await history(store, names[0], 100) if each.decision == "missed"]
    assert [(each.count, each.whole) for each in missed] == [(1_000, False)]


async def test_what_is_paused_or_changed_in_the_same_moment(
    store: MemoryBackend, clock: ManualClock
) -> None:
    """A worker that has read the schedule before does not fire what is paused, edited, removed."""
    for number, change in enumerate(
        (
            lambda name: pause(store, name, by="test"),
            lambda name: edit(store, name, {"every": 3600.0}, None),
            lambda name: remove(store, name),
        )
    ):
        name = f"s{number}"
        await add(store, name, call(), Timetable(every=1.0), "test")
        clock.advance(1.0)

        class Late(Delegate):
            """Has the change happen between what is read and what is written."""

            async def commit(
                self, transitions: Sequence[Transition], change: Any = change, name: str = name
            ) -> list[Answer]:
                await change(name)
                return await self.inner.commit(transitions)

        await Scheduler(Late(store), "w").run_once()
        assert await jobs(store) == []
        await Scheduler(store, "w").run_once()
        assert await jobs(store) == []
    assert len(await dues(store)) == 1
    await remove(store, "s0")
    await remove(store, "s1")
    assert await dues(store) == []


async def test_a_schedule_that_was_made_anew_sends_no_instant_twice(
    store: MemoryBackend, clock: ManualClock
) -> None:
    """Also when its clock went back in between: the job of that instant is there, and is left."""
    await add(store, "s", call(), Timetable(every=60.0), "test")
    clock.advance(60.0)
    worker = Scheduler(store, "w")
    await worker.run_once()
    await remove(store, "s")
    clock.step_date(-90.0)
    await add(store, "s", call("other"), Timetable(every=60.0), "test")
    for _ in range(3):
        clock.advance(60.0)
        await worker.run_once()
        await worker.run_once()
    assert set((await sent(store)).values()) == {1}
    assert [each.message.task for each in await jobs(store)].count("tick") == 1
    assert len(await jobs(store)) == 3


async def test_a_key_of_what_is_gone_is_removed(store: MemoryBackend, clock: ManualClock) -> None:
    """A due record that no schedule stands behind cannot keep workers busy."""
    await store.commit([Transition(put=(Put("due/000000000000000001/nobody", b""),))])
    await add(store, "s", call(), Timetable(every=1.0), "test")
    stale = replace(made("s", call(), Timetable(every=1.0), 5.0, "x"), cursor=0.0)
    await store.commit([Transition(put=put(stale)[1:])])
    assert len(await dues(store)) == 3
    clock.advance(1.0)
    await Scheduler(store, "w").run_once()
    assert len(await dues(store)) == 1
    assert len(await jobs(store)) == 1


async def test_run_now_beside_a_worker(store: MemoryBackend, clock: ManualClock) -> None:
    """Both count, neither is lost."""
    await add(store, "s", call(), Timetable(every=60.0, overlap="skip"), "test")
    clock.advance(59.0)
    await run_now(store, "s")
    clock.advance(1.0)
    await Scheduler(store, "w").run_once()
    assert [each.decision for each in await history(store, "s", 9)] == ["skipped", "by_hand"]
    await resume(store, "s")
    assert len(await jobs(store)) == 1


def test_one_owner_and_an_order_behind_it() -> None:
    """Of any workers one is first for a name, and the others follow one after the other."""
    members = [f"w{each}" for each in range(5)]
    owners = set()
    for name in (f"s{each}" for each in range(100)):
        delays = sorted(delay_of(each, members, name) for each in members)
        assert delays[:2] == [0.0, STEP_IN]
        assert all(b - a <= APART + 1e-9 for a, b in itertools.pairwise(delays[1:]))
        owners |= {each for each in members if delay_of(each, members, name) == 0.0}
    assert owners == set(members)
    assert delay_of("new", [], "s") == 0.0
    assert delay_of("new", members, "s") > STEP_IN


async def test_what_is_not_due_costs_nothing(store: MemoryBackend, clock: ManualClock) -> None:
    """Among so many schedules: a look is quick, commits nothing, and holds a page of them."""
    table = Timetable(cron="0 2 * * *", timezone="Europe/Berlin")
    ahead = [made(f"s{each:06d}", call(), table, clock.now(), "test") for each in range(AHEAD)]
    await store.commit([Transition(put=put(each)) for each in ahead])
    del ahead
    await add(store, "soon", call(), Timetable(every=1.0), "test")
    watched = Watched(store)
    worker = Scheduler(watched, "w")
    await worker.run_once()
    tracemalloc.start()
    begun, looks = time.process_time(), 60
    for _ in range(looks):
        clock.advance(1.0)
        assert await worker.run_once() <= POLL
    spent = time.process_time() - begun
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert watched.transitions == looks
    assert spent / looks < 0.010 * 5  # of a second, with memory being traced: 1 % without
    assert grown < 2_000_000
    print(f"{spent / looks * 1e3:.2f} ms a look of a second, {grown:,} bytes grown")


class Watched(Delegate):
    """Counts what is committed."""

    transitions = 0

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        self.transitions += len(transitions)
        return await self.inner.commit(transitions)


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Backend]:
    """Return a backend on a file."""
    backend = Connection.of(load({"url": f"sqlite:///{tmp_path / 'jobs.db'}"})).looped()
    await backend.open()
    yield backend
    await backend.close()


async def test_seconds_on_a_file(sqlite: Backend, aeventually: AsyncEventually) -> None:
    """Three workers in real time: each second once, none early, and soon."""
    names = await every_second(sqlite, 10)
    begun = int(await sqlite.now()) + 1
    workers = [asyncio.create_task(Scheduler(sqlite, f"w{each}").run()) for each in range(3)]

    async def fired() -> bool:
        return wanted(names, begun, begun + 2).keys() <= (await sent(sqlite)).keys()

    await aeventually(fired)
    for each in workers:
        each.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    found = await sent(sqlite)
    assert set(found.values()) == {1}
    lateness = await late(sqlite, names, range(begun, begun + 3))
    assert lateness[0] >= 0.0
