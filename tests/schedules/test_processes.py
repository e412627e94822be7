"""Real processes that fire, are killed, stopped, and have wrong clocks: one message an instant."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ropeway.config import load
from ropeway.connect import Connection
from ropeway.schedules.changing import all_schedules
from ropeway.store import Backend
from ropeway.worker.schedule import Scheduler
from tests.conftest import AsyncEventually
from tests.places import url_of
from tests.schedules import planner
from tests.schedules.rig import every_second, jobs, late, sent, wanted

LONG = "SCHEDULE_SECONDS" in os.environ
LENGTH = float(os.environ.get("SCHEDULE_SECONDS", "2"))
NUMBER = int(os.environ.get("SCHEDULES", "50" if LONG else "20"))
WORKERS, STOPPED = (5, 2) if LONG else (3, 1)
"""How long, and how many schedules of each second, so many workers are watched."""

WRONG = 120.0
KINDS = ("sqlite", "postgres", "redis", "rabbitmq")
_LATEST, _MUCH_LATER = 0.250, 5.0


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


@pytest.mark.timeout(120 + 2 * LENGTH)
async def test_several_workers(place: str, store: Backend, aeventually: AsyncEventually) -> None:
    """Some are stopped now and then, one has a wrong clock: each second once, none early, none late."""
    names = await every_second(store, NUMBER)
    with several(place) as workers:
        begun = int(await store.now()) + 1
        end = begun + int(LENGTH)
        await stop_and_go(workers, begun, store)

        async def fired() -> bool:
            return all(each.cursor >= end for each in await all_schedules(store))

        await aeventually(fired, 60.0)
    found = await sent(store)
    assert set(found.values()) == {1}
    assert wanted(names, begun, end).keys() <= found.keys()
    assert len(await jobs(store)) == len(found)
    lateness = await late(store, names, begun, end)
    assert len(lateness) == NUMBER * (end - begun + 1)
    p50, p99 = (lateness[int(len(lateness) * part)] for part in (0.5, 0.99))
    told = (
        f"{place}: {len(lateness):,} instants, late p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms"
    )
    print(f"{told}, max {lateness[-1] * 1e3:.0f} ms")
    assert lateness[0] >= 0.0
    assert p99 < _MUCH_LATER
    if LONG:
        assert p99 <= _LATEST, told
