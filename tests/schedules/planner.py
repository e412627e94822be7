"""Processes that fire schedules: as a worker's loop does, and ones that die at a step of it.

`work` fires until it is stopped. `die` forks one process for each step, before and after it, and for
moments within a commit; each finds a schedule due and is killed there with SIGKILL.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from chaos.skew import skew
from ropeway.config import load
from ropeway.connect import Connection
from ropeway.schedules.changing import made
from ropeway.schedules.record import STAMP, put
from ropeway.store import Backend
from ropeway.transition import Answer, Put, Transition
from ropeway.worker.schedule import Scheduler
from ropeway.wrappers.delegate import Delegate
from tests.schedules.rig import SECONDS, call

STEPS = 6
"""The steps of firing: now, what is due, who is there, schedules, last jobs if asked for, commit."""

AMID = int(os.environ.get("SCHEDULE_KILLS", "4"))
BACK = 4.0
"""Seconds that what is due is late by, so that each death has several instants to lose."""


def connection() -> Connection:
    """Return where the environment says that things are."""
    return Connection.of(load({}))


async def work(holder: str) -> None:
    """Fire for ever, as a worker that is on record."""
    backend = connection().looped()
    await backend.open()
    scheduler = Scheduler(backend, holder)
    asyncio.create_task(listen(backend, scheduler))  # noqa: RUF006  # until the process ends
    await be_there(backend, holder)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    asyncio.create_task(stay(backend, holder))  # noqa: RUF006
    await scheduler.run()


async def be_there(backend: Backend, holder: str) -> None:
    """Be on record, as a worker's registry has it."""
    there = Put(f"worker/{holder}", b"", ttl=30.0)
    await backend.commit([Transition(put=(there,))])


async def stay(backend: Backend, holder: str) -> None:
    """Remain on record."""
    while True:
        await asyncio.sleep(10.0)
        await be_there(backend, holder)


async def listen(backend: Backend, scheduler: Scheduler) -> None:
    """Ring when schedules are changed."""
    while True:
        if await backend.wait([STAMP], 1.0):
            scheduler.ring()


class Deadly(Delegate):
    """Kills its own process at a step: before it, after it, or while it is under way."""

    def __init__(self, inner: Backend, step: int, way: str) -> None:
        super().__init__(inner)
        self._left, self._way = step, way

    async def _step(self, verb: Any) -> Any:
        self._left -= 1
        if self._left == 0 and self._way == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = await verb
        if self._left == 0 and self._way == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    async def now(self) -> float:
        return await self._step(self.inner.now())  # type: ignore[no-any-return]

    async def get(self, keys: Sequence[str]) -> Any:
        return await self._step(self.inner.get(keys))

    async def scan(self, prefix: str, after: str = "", limit: int = 100) -> Any:
        return await self._step(self.inner.scan(prefix, after, limit))

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        if self._way == "amid":
            os.write(_TOLD, b"!")  # whoever hears this kills this process in a moment
        answers: list[Answer] = await self._step(self.inner.commit(transitions))
        if self._way == "amid":
            signal.pause()  # it comes, if it has not yet
        return answers


_TOLD = -1


def deaths() -> Iterator[tuple[int, str]]:
    """Yield the step and the way of each death."""
    yield from itertools.product(range(1, STEPS + 1), ("before", "after"))
    yield from ((0, "amid") for _ in range(AMID))


async def one(name: str, step: int, way: str) -> None:
    """Make a schedule that is due, and die while it is fired."""
    backend = connection().looped()
    await backend.open()
    now = await backend.now()
    late = made(name, call(), SECONDS, now - BACK, "test")
    await backend.commit([Transition(put=put(late))])
    for _ in range(STEPS):
        await Scheduler(Deadly(backend, step, way), "dying").run_once()


def die() -> None:
    """Have a process for each death, one after the other, and say how each ended."""
    global _TOLD
    rng = random.Random(7)
    for number, (step, way) in enumerate(deaths()):
        hears, _TOLD = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(hears)
            asyncio.run(one(f"d{number:03d}", step, way))
            os._exit(0)
        os.close(_TOLD)
        if way == "amid" and os.read(hears, 1):
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.00001, 0.004))
            signal.sigwait([signal.SIGALRM])
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os.close(hears)
        print(way, step, os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    skew()
    if sys.argv[1] == "die":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        die()
    else:
        asyncio.run(work(sys.argv[2]))
