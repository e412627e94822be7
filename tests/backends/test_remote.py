"""A backend that is asked over a line keeps every promise of the one that serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.backends.sqlite import Database, Looped, SqliteBackend, hints
from ropeway.clock import ManualClock
from ropeway.store import Backend
from ropeway.testing.conformance import (
    BackendSuite,
    DurableCases,
    LocalClockCases,
    ManualHarness,
    MissedHintCases,
    SteppedSuite,
)
from ropeway.worker.lines import LoopLine, ThreadLines
from ropeway.wrappers.batched import Batched
from ropeway.wrappers.remote import Remote
from tests.backends.served import Counter, Elsewhere

Face = Callable[[Backend], Backend]
"""Makes the asking end of a backend."""


class FromLoop:
    """Asked from a loop: many calls at once."""

    @pytest.fixture
    def face(self, counter: Counter) -> Face:
        def make(served: Backend) -> Backend:
            return Remote(LoopLine(counter.serve(served)), served.capabilities)

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
    def face(self, counter: Counter) -> Face:
        def make(served: Backend) -> Backend:
            return Batched(Remote(LoopLine(counter.serve(served)), served.capabilities))

        return make
