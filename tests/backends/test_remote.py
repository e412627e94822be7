"""A backend that is asked for over a line keeps every promise of the one that serves it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.backends.sqlite import Database, Looped, SqliteBackend, hints
from ropeway.clock import ManualClock
from ropeway.errors import (
    BackendUnavailable,
    Backpressure,
    Indeterminate,
    RopewayError,
    Unsupported,
)
from ropeway.message import job_key
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.testing.conformance import (
    BackendSuite,
    DurableCases,
    LocalClockCases,
    ManualHarness,
    MissedHintCases,
    SteppedSuite,
)
from ropeway.testing.conformance.steps import job, message, promptly
from ropeway.transition import APPLIED, Answer, Put, Transition
from ropeway.worker import lines
from ropeway.worker.lines import Door, LoopLine, ThreadLines
from ropeway.worker.reception import Reception
from ropeway.wrappers.batched import Batched
from ropeway.wrappers.delegate import Delegate
from ropeway.wrappers.remote import Remote
from ropeway.wrappers.wire import VERBS, Call, encode

Served = Callable[[Backend], Door]


class Face(Protocol):
    """Makes the asking end of a backend that is already open."""

    def __call__(self, served: Backend) -> Backend: ...


@pytest.fixture
async def receive() -> AsyncIterator[Served]:
    """Return what serves a backend on the test's own loop, and opens a door to it."""
    receptions: list[Reception] = []

    def serve(backend: Backend) -> Door:
        receptions.append(reception := Reception())
        reception.serve(backend)
        return Door(reception.door)

    yield serve
    for reception in receptions:
        reception.close()
        reception.door.close()
    await asyncio.sleep(0.01)  # the loop sees their ends


class Elsewhere:
    """An event loop in another thread, which serves those who block in theirs."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._receptions: list[Reception] = []

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def serve(self, backend: Backend) -> Door:
        """Serve `backend` there, and open a door to it."""
        self._receptions.append(reception := Reception())

        async def start() -> None:
            reception.serve(backend)

        self.run(start())
        return Door(reception.door)

    def close(self) -> None:
        """Hang up, and end the thread."""
        self.run(self._hang_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _hang_up(self) -> None:
        for reception in self._receptions:
            reception.close()
            reception.door.close()
        await asyncio.sleep(0.01)


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """Return a loop in another thread, until the end of the test."""
    elsewhere = Elsewhere()
    yield elsewhere
    elsewhere.close()


class FromLoop:
    """Asked from a loop: many calls at once."""

    @pytest.fixture
    def face(self, receive: Served) -> Face:
        def make(served: Backend) -> Backend:
            return Remote(LoopLine(receive(served)), served.capabilities)

        return make


class FromThread:
    """Asked from a thread that blocks, and served on the loop of another."""

    @pytest.fixture
    def face(self, elsewhere: Elsewhere) -> Face:
        def make(served: Backend) -> Backend:
            return Remote(ThreadLines(elsewhere.serve(served)), served.capabilities)

        return make


class OnMemory:
    """The served backend is the one in memory."""

    @pytest.fixture
    async def harness(
        self, face: Face, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[ManualHarness]:
        clock = ManualClock()
        memory = MemoryBackend(clock)

        def mute() -> None:
            monkeypatch.setattr(memory, "_hint", lambda name: None)

        async with ManualHarness(
            face(memory), clock, another=lambda: face(memory), mute=mute
        ) as harness:
            yield harness


class OnSqlite:
    """The served backend is a file, on a loop of ropeway's own, as in a supervisor."""

    @pytest.fixture
    async def harness(
        self, face: Face, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[ManualHarness]:
        clock = ManualClock()
        served: list[Backend] = []

        def handle() -> Backend:
            database = Database(tmp_path / "jobs.db", clock)
            served.append(Batched(SqliteBackend(database, Looped(database, own=True))))
            return face(served[-1])

        def mute() -> None:
            monkeypatch.setattr(hints, "touch", lambda *names: None)

        async with ManualHarness(handle(), clock, another=handle, mute=mute) as harness:
            yield harness
        for backend in served:
            await backend.close()


class TestLoopOnMemory(FromLoop, OnMemory, BackendSuite, MissedHintCases, LocalClockCases):
    """Every promise, over a line."""


class TestThreadOnMemory(FromThread, OnMemory, SteppedSuite, LocalClockCases):
    """Every promise that needs no second task."""


class TestLoopOnSqlite(
    FromLoop, OnSqlite, BackendSuite, DurableCases, MissedHintCases, LocalClockCases
):
    """Every promise, over a line."""


class TestThreadOnSqlite(FromThread, OnSqlite, SteppedSuite, DurableCases, LocalClockCases):
    """Every promise that needs no second task."""


class TestBatchedLoop(OnSqlite, BackendSuite, DurableCases, MissedHintCases, LocalClockCases):
    """As a child has it: what its tasks send in the same moment is one call."""

    @pytest.fixture
    def face(self, receive: Served) -> Face:
        def make(served: Backend) -> Backend:
            return Batched(Remote(LoopLine(receive(served)), served.capabilities))

        return make
