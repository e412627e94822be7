"""SQLite keeps every promise of the contracts, among handles that share a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ropeway.backends.sqlite import Blocking, Database, Looped, SqliteBackend, hints
from ropeway.clock import ManualClock
from ropeway.events import Events
from ropeway.store import Backend
from ropeway.testing.conformance import (
    BackendSuite,
    DurableCases,
    HintCases,
    LocalClockCases,
    ManualHarness,
    MissedHintCases,
    SteppedSuite,
)
from ropeway.testing.conformance.steps import message
from ropeway.transition import Transition
from ropeway.wrappers.batched import Batched
from ropeway.wrappers.faulty import Faults, Faulty
from ropeway.wrappers.observed import Observed

Face = Callable[[Database], Backend]


@pytest.fixture
def face() -> Face:
    """Say how a backend is made of a database; each further handle has a database of its own."""
    return SqliteBackend


@pytest.fixture
async def harness(
    face: Face, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ManualHarness]:
    """Make a database with the connections, the turnstile and the watch of one process."""
    clock = ManualClock()

    def handle() -> Backend:
        return face(Database(tmp_path / "jobs.db", clock))

    def mute() -> None:
        monkeypatch.setattr(hints, "touch", lambda *names: None)

    async with ManualHarness(handle(), clock, another=handle, mute=mute) as harness:
        yield harness


class TestSqlite(BackendSuite, DurableCases, MissedHintCases, LocalClockCases):
    """On a loop that user code shares."""

    async def test_what_cannot_be_written_fails_its_caller_alone(
        self, harness: ManualHarness
    ) -> None:
        """Callers that meet share a transaction, but not the exception of one of them."""
        tasks = [*"abc", "half a pair \ud800", *"def"]
        told = await asyncio.gather(
            *(
                harness.backend.commit([Transition(publish=(message(task=task),))])
                for task in tasks
            ),
            return_exceptions=True,
        )
        failed = [place for place, each in enumerate(told) if isinstance(each, BaseException)]
        assert failed == [3]
        assert isinstance(told[3], ValueError)
        assert (await harness.backend.stats(["default"], 10))[0].ready == 6


class TestOwnLoop(BackendSuite, DurableCases, MissedHintCases, LocalClockCases):
    """On a loop of ropeway's own, where short work may block."""

    @pytest.fixture
    def face(self) -> Face:
        return lambda database: SqliteBackend(database, Looped(database, own=True))


class TestBatched(BackendSuite, DurableCases, MissedHintCases, LocalClockCases):
    """Wrapped, as for a program with many senders on one loop."""

    @pytest.fixture
    def face(self) -> Face:
        return lambda database: Batched(SqliteBackend(database))


class TestObserved(BackendSuite, DurableCases, MissedHintCases, LocalClockCases):
    """Wrapped, with somebody who hears of every verb."""

    @pytest.fixture
    def face(self) -> Face:
        events = Events()
        events.subscribe(lambda _: None)
        return lambda database: Observed(SqliteBackend(database), events)


class TestFaulty(BackendSuite, DurableCases, MissedHintCases, LocalClockCases):
    """Wrapped, with the faults turned off."""

    @pytest.fixture
    def face(self) -> Face:
        return lambda database: Faulty(SqliteBackend(database), Faults())


class TestStepped(SteppedSuite, DurableCases, LocalClockCases):
    """In the caller's own thread, as the sync verbs have it."""

    @pytest.fixture
    def face(self) -> Face:
        return lambda database: SqliteBackend(database, Blocking(database))


class TestWithoutInotify(HintCases, MissedHintCases):
    """On a system that does not tell of changed files."""

    @pytest.fixture(autouse=True)
    def _no_inotify(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hints, "_inotify_init", lambda: -1)
