"""A backend that needs a loop, for callers that have none: in threads, after forks, and at exit."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import cast

import pytest

from ropeway import Ropeway
from ropeway.backends.memory import MemoryBackend
from ropeway.calls import Call
from ropeway.clock import ManualClock
from ropeway.errors import ConfigError, Indeterminate
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.testing.conformance import ManualHarness, SteppedSuite
from ropeway.testing.conformance.steps import message
from ropeway.testing.halves import FakeBroker
from ropeway.transition import Answer, Transition
from ropeway.wrappers.batched import Batched
from ropeway.wrappers.native import RoutingHalf
from ropeway.wrappers.ported import Ported, PortedHalf


def _ported(backend: Backend) -> Ported:
    return Ported(lambda: Batched(backend), backend.capabilities)


class TestPorted(SteppedSuite):
    """Every promise is kept through the portal."""

    @pytest.fixture
    async def harness(self) -> AsyncIterator[ManualHarness]:
        clock = ManualClock()
        async with ManualHarness(_ported(MemoryBackend(clock)), clock) as harness:
            yield harness


async def test_a_verb_works_on_a_running_loop_too() -> None:
    """It holds that loop up, as every sync verb does, and needs nothing of it."""
    backend = _ported(MemoryBackend())
    (answer,) = step(backend.commit([Transition(publish=(message(),))]))
    assert answer.ok


def test_what_a_verb_raises_reaches_its_caller() -> None:
    """Whatever it is."""

    class Broken(MemoryBackend):
        async def now(self) -> float:
            raise ConfigError("mine")

    with pytest.raises(ConfigError, match="mine"):
        step(_ported(Broken()).now())


def test_a_half_is_asked_by_names_too() -> None:
    """As a pair asks it, which says what each argument is."""
    broker = FakeBroker()
    half = PortedHalf(lambda: cast("RoutingHalf", broker.connect()), broker.connect().capabilities)
    step(half.publish([message()]))
    (arrival,) = step(half.get("default", 1, look=True))
    step(half.nack([arrival.tag], requeue=True))
    assert step(half.depths(["default"])) == {"default": 1}
    step(half.close())


def test_many_threads_share_it() -> None:
    """Each gets its own answer; those that meet share a commit."""
    backend = _ported(MemoryBackend())
    sent = [message() for _ in range(200)]

    def send(part: int) -> None:
        for each in sent[part::8]:
            step(backend.commit([Transition(publish=(each,))]))

    threads = [threading.Thread(target=send, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    (stats,) = step(backend.stats(["default"], 1000))
    assert stats.ready == 200


def test_a_forked_process_makes_its_own() -> None:
    """The thread of the parent is not there; neither side disturbs the other."""
    backend = _ported(MemoryBackend())
    step(backend.commit([Transition(publish=(message(),))]))
    child = os.fork()
    if child == 0:
        done = 1
        try:
            (answer,) = step(backend.commit([Transition(publish=(message(),))]))
            done = 0 if answer.ok else 2
        finally:
            os._exit(done)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    (answer,) = step(backend.commit([Transition(publish=(message(),))]))
    assert answer.ok


_AT_EXIT = """
import atexit
from ropeway.backends.memory import MemoryBackend
from ropeway.stepping import step
from ropeway.wrappers.ported import Ported

class Loud(MemoryBackend):
    async def close(self):
        print("closed", flush=True)

memory = Loud()
backend = Ported(lambda: memory, memory.capabilities)
atexit.register(lambda: print("last", step(backend.now()) > 0, flush=True))
step(backend.now())
"""


def test_the_end_of_a_process_closes_it_and_late_callers_are_served() -> None:
    """What was done is told to others, and who still sends from an exit handler can."""
    said = subprocess.run(
        [sys.executable, "-c", _AT_EXIT], capture_output=True, text=True, check=False, timeout=30
    )
    assert (said.stdout, said.stderr) == ("closed\nlast True\n", "")


def test_an_interrupt_reaches_the_caller_and_ends_the_verb() -> None:
    """Ctrl-C while a verb waits: it does not go on behind the caller's back."""
    cancelled = threading.Event()

    class Slow(MemoryBackend):
        async def now(self) -> float:
            try:
                os.kill(os.getpid(), 2)
                await asyncio.sleep(60)
            finally:
                cancelled.set()
            return 0.0

    memory = Slow()
    with pytest.raises(KeyboardInterrupt):
        step(Ported(lambda: memory, memory.capabilities).now())
    assert cancelled.wait(10)


class _Held(MemoryBackend):
    """A backend that answers its first commit when `more` is set, or when it has waited in vain."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.more = threading.Event(), threading.Event()
        self.in_vain = False
        self.fault: Exception | None = None

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        self.asked.set()
        self.in_vain |= not await asyncio.to_thread(self.more.wait, 10)
        if self.fault is not None:
            raise self.fault
        return await super().commit(transitions)


def _shown(value: int) -> str:
    return str(value)


@pytest.fixture
def held() -> _Held:
    """Return what is behind the portal."""
    return _Held()


@pytest.fixture
def app(held: _Held, monkeypatch: pytest.MonkeyPatch) -> Ropeway:
    """Return an app whose sync verbs go through the portal."""
    app = Ropeway("memory://")
    monkeypatch.setattr(app.connection, "_make_blocking", lambda: _ported(held))
    return app


def test_more_calls_are_made_while_a_server_works(held: _Held, app: Ropeway) -> None:
    """Each part has been asked for before the next is made, and is answered after that."""
    task = app.task(_shown)

    def calls() -> Iterator[Call[str]]:
        for number in range(2_500):
            if number == 1_000:
                assert held.asked.wait(10)
            if number == 1_999:
                held.more.set()
            yield task.call(number)

    jobs = app.send_many(calls())
    assert not held.in_vain
    assert len({job.id for job in jobs}) == 2_500
    (stats,) = step(app.connection.blocking().stats(["default"], 9_000))
    assert stats.ready == 2_500


def test_calls_that_cannot_be_made_do_not_leave_others_half_sent(held: _Held, app: Ropeway) -> None:
    """What was asked for before has its answer when the error is raised."""
    task = app.task(_shown)

    def calls() -> Iterator[Call[str]]:
        yield from (task.call(number) for number in range(1_000))
        held.more.set()
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        app.send_many(calls())
    (stats,) = step(app.connection.blocking().stats(["default"], 9_000))
    assert stats.ready == 1_000


@pytest.mark.parametrize("count", [10, 1_500])
def test_a_failure_is_raised_once(held: _Held, app: Ropeway, count: int) -> None:
    """That of the part that was on its way when the next was made, too."""
    held.more.set()
    held.fault = Indeterminate("who knows")
    task = app.task(_shown)
    with pytest.raises(Indeterminate, match="who knows"):
        app.send_many(task.call(number) for number in range(count))
