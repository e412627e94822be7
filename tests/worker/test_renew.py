"""What a renewal says of each attempt, and who is interrupted for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from ropeway.backends.memory import MemoryBackend
from ropeway.broker import Held as Answered
from ropeway.claims import Claim
from ropeway.clock import ManualClock
from ropeway.context import Running
from ropeway.executor import Call
from ropeway.executors.threads import ThreadExecutor
from ropeway.ids import new_id
from ropeway.message import Fence, Message, Outcome
from ropeway.retry import DEFAULT
from ropeway.transition import Release, Transition
from ropeway.worker.held import Held
from ropeway.worker.renew import Renewer

ONE = [Claim("default", 1)]


class GivesBackMeanwhile(MemoryBackend):
    """Where a job is given back, and claimed again by the same worker, while a renewal is asked."""

    def __init__(self, held: Held) -> None:
        super().__init__(ManualClock())
        self._held = held

    async def extend(self, fences: Sequence[Fence], lease: float) -> list[Answered]:
        (fence,) = fences
        back = Transition(fence=fence, settle=Release(counts="releases"))
        assert (await self.commit([back]))[0].ok
        self._held.drop(fence)
        answers = await super().extend(fences, lease)
        self._held.add(await self.receive(ONE, "me", lease))
        return answers


async def test_an_attempt_that_was_given_back_does_not_end_the_next() -> None:
    """The same job, claimed again, is not taken for lost because the attempt before it is."""
    held, lost = Held(), list[Fence]()
    backend = GivesBackMeanwhile(held)
    await backend.commit([Transition(publish=(Message(id=new_id(), task="t"),))])
    held.add(await backend.receive(ONE, "me", 60))
    assert await Renewer(backend, held, "me", 60, lost.extend).run_once()
    assert [fence.attempt for fence in held.fences()] == [2]
    assert lost == []


async def test_a_lost_attempt_is_told() -> None:
    """An attempt that another worker has taken over is interrupted."""
    clock, held, lost = ManualClock(), Held(), list[Fence]()
    backend = MemoryBackend(clock)
    await backend.commit([Transition(publish=(Message(id=new_id(), task="t"),))])
    held.add(await backend.receive(ONE, "me", 60))
    clock.advance(61)
    await backend.receive(ONE, "other", 60)
    assert await Renewer(backend, held, "me", 60, lost.extend).run_once()
    assert lost == held.fences()


class NoTrace:
    """Notes nothing of what is stepped."""

    def begin(self, slot: int) -> bool:
        return True

    def enter(self, place: int, slot: int) -> None: ...

    def leave(self, place: int) -> None: ...


async def test_an_interrupted_function_has_not_failed() -> None:
    """A plain function that is told to stop because its lease is lost is charged no failure."""
    ended: asyncio.Future[tuple[int, Outcome]] = asyncio.get_running_loop().create_future()
    started = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(started.set)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            time.sleep(0.001)

    executor = ThreadExecutor(1, NoTrace(), lambda slot, outcome: ended.set_result((slot, outcome)))
    executor.submit(
        Call(
            slot=3,
            task="work",
            running=Running(fence=Fence("one", 1, "me"), task="work"),
            function=work,
            bind=lambda _body, _kind: ([], {}),
            encode=lambda _value: b"",
            body=b"",
            content_type="application/json",
            policy=DEFAULT,
            timeout=None,
        )
    )
    await started.wait()
    executor.interrupt(3)
    assert await asyncio.wait_for(ended, 5) == (3, Outcome(ending="interrupted"))
    executor.close()
