"""Watching changes nothing, and sees everything."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence

import pytest
from msgspec.structs import replace

from ropeway.backends.memory import MemoryBackend
from ropeway.claims import Claim
from ropeway.clock import ManualClock
from ropeway.errors import Indeterminate
from ropeway.events import Event, Events
from ropeway.store import Backend, Filter
from ropeway.testing.conformance import BackendSuite, ManualHarness, MissedHintCases
from ropeway.testing.conformance.steps import message
from ropeway.transition import Answer, Transition
from ropeway.wrappers.observed import Observed


class Unheard(MemoryBackend):
    """A backend that never answers a commit."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        raise Indeterminate


class TestObserved(BackendSuite, MissedHintCases):
    """The contract of what is wrapped is kept, also when a subscriber fails."""

    @pytest.fixture
    async def harness(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> AsyncIterator[ManualHarness]:
        caplog.set_level(logging.CRITICAL, "ropeway")
        clock, events = ManualClock(), Events()
        memory = MemoryBackend(clock)

        def broken(event: Event) -> None:
            raise RuntimeError("a subscriber that is broken")

        def mute() -> None:
            monkeypatch.setattr(memory, "_hint", lambda name: None)

        def handle() -> Backend:
            return Observed(memory, events)

        events.subscribe(broken)
        async with ManualHarness(handle(), clock, another=handle, mute=mute) as harness:
            yield harness


def watched(backend: Backend) -> tuple[Observed, list[Event]]:
    """Wrap `backend`, and return the list that its events go to."""
    events, heard = Events(), list[Event]()
    events.subscribe(heard.append)
    return Observed(backend, events), heard


async def test_each_verb_is_told() -> None:
    """One event a call: the verb, how many items, how many refused, how long."""
    observed, heard = watched(MemoryBackend(ManualClock()))
    known = message()
    clash = Transition(publish=(message(id=known.id, body=b"x"),))
    await observed.commit([Transition(publish=(known,)), clash])
    (delivery,) = await observed.receive([Claim("default", 5)], "h", 60.0)
    await observed.extend([delivery.fence, replace(delivery.fence, attempt=9)], 60.0)
    await observed.get(["a", "b", "c"])
    await observed.scan("a")
    await observed.read("l")
    await observed.stats(["default"], 10)
    await observed.search(Filter())
    told = [(each.verb, each.items, each.refused, each.error) for each in heard]
    assert told == [
        ("commit", 2, 1, None),
        ("receive", 1, 0, None),
        ("extend", 2, 1, None),
        ("get", 3, 0, None),
        ("scan", 0, 0, None),
        ("read", 0, 0, None),
        ("stats", 1, 0, None),
        ("search", 1, 0, None),
    ]
    assert all(0 <= each.seconds < 1 for each in heard)


async def test_a_verb_that_raises_is_told_with_its_error() -> None:
    """The caller gets the exception as it is; the event names its class."""
    observed, heard = watched(Unheard(ManualClock()))
    with pytest.raises(Indeterminate):
        await observed.commit([Transition()])
    assert [(each.verb, each.items, each.error) for each in heard] == [
        ("commit", 1, "Indeterminate")
    ]
