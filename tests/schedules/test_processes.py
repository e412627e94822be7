"""Real processes that fire, are killed, stopped, and have wrong clocks: one message an instant."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from ropeway.config import load
from ropeway.connect import Connection
from ropeway.cron.timetable import Timetable
from ropeway.schedules.changing import all_schedules, made
from ropeway.schedules.record import put
from ropeway.store import Backend
from ropeway.transition import Put, Transition
from ropeway.worker.schedule import Scheduler
from tests.conftest import AsyncEventually
from tests.places import url_of
from tests.schedules import planner
from tests.schedules.rig import call, every_second, jobs, late, sent, wanted

LONG = "SCHEDULE_SECONDS" in os.environ
LENGTH = float(os.environ.get("SCHEDULE_SECONDS", "2"))
NUMBER = int(os.environ.get("SCHEDULES", "50" if LONG else "20"))
WORKERS, STOPPED = (5, 2) if LONG else (3, 1)
"""How long, and how many schedules of each second, so many workers are watched."""

WRONG = 120.0
AHEAD = int(os.environ.get("SCHEDULES_AHEAD", "1000"))
KINDS = ("sqlite", "postgres", "redis", "rabbitmq")
_LATEST, _HELD = 0.250, 0.15


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have the environment name an empty place; return its kind. RabbitMQ has a file beside it."""
    kind: str = request.param
    if kind == "rabbitmq":
        monkeypatch.setenv("ROPEWAY_BROKER", request.getfixturevalue("rabbitmq").fresh())
    monkeypatch.setenv("ROPEWAY_URL", url_of(kind, tmp_path, request))
    return kind


@pytest.fixture
async def store(place: str) -> AsyncIterator[Backend]:
    """Return a backend on that place."""
    backend = Connection.of(load({})).looped()
    await backend.open()
    yield backend
    await backend.close()


def started(*words: str, clock: float = 0.0) -> subprocess.Popen[str]:
    """Start a process that fires, with a clock that is wrong by so much."""
    command = [sys.executable, "-m", "tests.schedules.planner", *words]
    environment = {**os.environ, "CHAOS_CLOCK": str(clock)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)


async def test_killed_at_every_step(store: Backend) -> None:
    """With SIGKILL, before and after each step of firing, and within a commit: nothing is lost."""
    dying = started("die")
    said, _ = await asyncio.to_thread(dying.communicate)
    ended = [line.split() for line in said.splitlines()]
    assert len(ended) == len(list(planner.deaths()))
    killed = [way for way, _, code in ended if int(code) == -signal.SIGKILL]
    assert killed.count("amid") == planner.AMID
    assert len(killed) - planner.AMID >= 10  # at each step that there is here
    while await Scheduler(store, "alive").run_once() <= 0.0:
        pass
    found = await sent(store)
    assert set(found.values()) == {1}
    schedules = await all_schedules(store)
    assert len(schedules) == len(ended)
    for schedule in schedules:
        expected = _up_to(schedule.made, schedule.cursor)
        assert {when for name, when in found if name == schedule.name} == expected


def _up_to(first: float, last: float) -> set[str]:
    return {when for _, when in wanted(["x"], int(first) + 1, int(last))}


@contextlib.contextmanager
def several(kind: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Run processes that fire; one has a wrong clock, where it is not the store's."""
    own_clock = kind in {"sqlite", "rabbitmq"}  # a file's clock is that of its machine
    clocks = [0.0] * (WORKERS - 1) + [0.0 if own_clock else WRONG]
    workers = [started("work", f"w{n}", clock=clock) for n, clock in enumerate(clocks)]
    try:
        for each in workers:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for each in workers:  # now that all are on record
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        yield workers
    finally:
        for each in workers:
            each.kill()
            each.communicate()


async def stop_and_go(workers: list[subprocess.Popen[str]], begun: float, store: Backend) -> None:
    """Stop two of the workers and let them go on, at random, until it is over."""
    rng = random.Random(3)
    while await store.now() < begun + LENGTH:
        for each in workers[:STOPPED]:
            each.send_signal(rng.choice([signal.SIGSTOP, signal.SIGCONT]))
        await asyncio.sleep(rng.uniform(0.2, 0.8))
    for each in workers[:STOPPED]:
        each.send_signal(signal.SIGCONT)


class Watch:
    """Knows when a process that was stopped in the middle of a write held up others.

    In a file one writer holds up all: writing tells. In PostgreSQL a transaction whose client is
    silent holds up those whose names share a lock with its own: the server tells. What was due
    meanwhile is late for a reason that the guarantees name. Redis has no such moment.
    """

    def __init__(self, place: str, store: Backend) -> None:
        self._place, self._store = place, store
        self._held: list[tuple[float, float]] = []

    async def run(self) -> None:
        """Look all the time."""
        if self._place == "postgres":
            await self._ask()
        while self._place != "redis":
            begun = await self._store.now()
            await self._store.commit([Transition(put=(Put("watch", b""),))])
            self._note(begun, await self._store.now())
            await asyncio.sleep(0.02)

    async def _ask(self) -> None:
        server = await asyncpg.connect(os.environ["ROPEWAY_URL"].partition("?")[0])
        try:
            while True:
                since = await server.fetchval(
                    "select min(extract(epoch from state_change))::float8 from pg_stat_activity"
                    " where state = 'idle in transaction'"
                )
                now = await server.fetchval("select extract(epoch from clock_timestamp())::float8")
                self._note(since or now, now)
                await asyncio.sleep(0.05)
        finally:
            server.terminate()

    def _note(self, begun: float, now: float) -> None:
        if now - begun > _HELD:
            self._held.append((begun - _LATEST, now + 0.1))

    def excuses(self, instant: float) -> bool:
        """Whether somebody was held up when an instant was due, or soon after."""
        return any(first <= instant <= last for first, last in self._held)


@pytest.mark.timeout(120 + 2 * LENGTH)
async def test_several_workers(place: str, store: Backend, aeventually: AsyncEventually) -> None:
    """Some are stopped now and then, one has a wrong clock: each second once, none early; and for a minute, soon."""
    names = await every_second(store, NUMBER)
    with several(place) as workers:
        begun = int(await store.now()) + 1
        end = begun + int(LENGTH)
        watch = Watch(place, store)
        watching = asyncio.create_task(watch.run())
        await stop_and_go(workers, begun, store)
        if place != "redis":
            assert not watching.done()
        watching.cancel()
        await asyncio.wait([watching])

        async def fired() -> bool:
            return all(each.cursor >= end for each in await all_schedules(store))

        await aeventually(fired, 60.0)
    found = await sent(store)
    assert set(found.values()) == {1}
    assert wanted(names, begun, end).keys() <= found.keys()
    assert len(await jobs(store)) == len(found)
    lateness = await late(store, names, range(begun, end + 1))
    assert len(lateness) == NUMBER * (end - begun + 1)
    assert lateness[0] >= 0.0
    if LONG:
        held = [each for each in range(begun, end + 1) if watch.excuses(each)]
        assert len(held) <= LENGTH / 2
        lateness = await late(store, names, {*range(begun, end + 1)} - {*held})
        p50, p99 = (lateness[int(len(lateness) * part)] * 1e3 for part in (0.5, 0.99))
        told = f"{place}: {len(lateness):,} instants, late p50 {p50:.0f} ms, p99 {p99:.0f} ms"
        print(f"{told}, max {lateness[-1] * 1e3:.0f} ms; writes were held up at {len(held)}")
        assert p99 <= _LATEST * 1e3, told


@pytest.mark.timeout(300)
@pytest.mark.parametrize("place", KINDS[:3], indirect=True)
async def test_many_that_are_not_due(store: Backend) -> None:
    """A look costs a worker less than one percent of a core, however many are ahead."""
    now = await store.now()
    table = Timetable(cron="0 2 * * *", timezone="Europe/Berlin", jitter=40_000.0)
    for first in range(0, AHEAD, 500):
        numbers = range(first, min(AHEAD, first + 500))
        ahead = [made(f"a{each:06d}", call(), table, now, "test") for each in numbers]
        await store.commit([Transition(put=put(each)) for each in ahead])
    worker, looks = Scheduler(store, "w"), 20
    await worker.run_once()
    begun = time.process_time()
    for _ in range(looks):
        await worker.run_once()
    cost = (time.process_time() - begun) / looks
    print(f"{AHEAD:,} schedules: {cost * 1e3:.2f} ms of CPU a look; a worker looks once a second")
    assert cost < 0.010
