"""What of a worker waits a moment so that many go together: and that nobody waits for long by it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.context import Running
from ropeway.decide import Keep, Rules
from ropeway.executor import Call
from ropeway.executors.threads import ThreadExecutor
from ropeway.message import Delivery, Fence, Kind, Message, Outcome
from ropeway.retry import DEFAULT
from ropeway.transition import Transition
from ropeway.worker.cell import Cell
from ropeway.worker.fetch import Fetcher
from ropeway.worker.frames import TaskInfo
from ropeway.worker.handed import Handed
from ropeway.worker.held import Held
from ropeway.worker.inlets import Inlets
from ropeway.worker.settle import Settler
from ropeway.worker.window import Window, thin


def _call(slot: int, function: Callable[[], object]) -> Call:
    return Call(
        slot=slot,
        task="t",
        running=Running(fence=Fence(str(slot), 1, "w"), task="t"),
        function=function,
        bind=lambda body, content_type: ([], {}),
        encode=lambda value: b"",
        body=b"",
        content_type="",
    )


async def test_an_end_is_reported_while_the_next_call_of_its_thread_goes_on() -> None:
    """Broken: what ends between two reports is told with the end of whatever comes after it."""
    ended: list[int] = []
    heard, in_time = threading.Event(), list[bool]()
    everything = asyncio.Event()

    def note(slot: int, outcome: Outcome) -> None:
        ended.append(slot)
        if slot == 99:
            heard.set()
        if len(ended) == 102:
            everything.set()

    executor = ThreadExecutor(1, Cell.create(), note)
    for slot in range(100):
        executor.submit(_call(slot, lambda: None))
    executor.submit(_call(100, lambda: in_time.append(heard.wait(10))))
    executor.submit(_call(101, lambda: None))
    await asyncio.wait_for(everything.wait(), 20)
    assert ended == list(range(102))
    assert in_time == [True]
    executor.close()


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ((512, 512), False),  # no room at all
        ((512, 450), True),
        ((512, 300), False),  # a whole batch
        ((500, 7), False),  # one would start at once
    ],
)
def test_room_in_advance_is_thin_until_much_can_be_asked_for_at_once(
    held: tuple[int, int], *, expected: bool
) -> None:
    windows = [Window(8), Window(8)]
    for window, count in zip(windows, held, strict=True):
        window.size, window.held = 512, count
        window.ended(0, 0.01)
    assert thin(windows) is expected


def test_slots_without_anything_in_advance_are_never_thin() -> None:
    windows = [Window(1), Window(100)]
    assert not thin(windows)
    windows[0].held, windows[1].held = 1, 99
    assert not thin(windows)


def _delivery(job: str) -> Delivery:
    return Delivery(message=Message(id=job, task="t"), fence=Fence(job, 1, "w"))


def test_a_slot_that_was_given_to_another_call_is_not_taken_back() -> None:
    """Broken: the child runs a call that went to another one, too: one attempt is started twice."""
    handed = Handed()
    handed.open({"threads": 1})
    one, other, third = map(_delivery, ("1", "2", "3"))
    slot = handed.take(one, "threads", 0.0)
    withdrawn = handed.withdraw()
    assert handed.recalled([slot]) == [(one, "threads")]
    assert handed.take(other, "threads", 0.0) == slot
    assert handed.taken_back(withdrawn) == []
    assert handed.cell.begin(slot)
    second = handed.take(third, "threads", 0.0)
    withdrawn = handed.withdraw()
    assert handed.taken_back(withdrawn) == [(third, "threads")]
    assert not handed.cell.begin(second)
    handed.cell.close()


class _Thin:
    """Places that always have a little room, and could do with more."""

    busy, thin = 0, True

    def __init__(self) -> None:
        self.freed = asyncio.Event()
        self.taken: list[Delivery] = []
        self.took = asyncio.Event()

    def room(self) -> dict[Kind, int]:
        return {"threads": 1}

    def run(self, deliveries: Sequence[tuple[Delivery, Kind]]) -> list[Delivery]:
        self.taken += [delivery for delivery, _ in deliveries]
        self.took.set()
        return []

    def interrupt(self, lost: frozenset[Fence]) -> None: ...

    async def recall(self) -> None: ...

    async def close(self, *, kill: bool) -> None: ...


@pytest.mark.parametrize("freeing", [False, True])
async def test_a_little_room_is_asked_for_in_the_end(*, freeing: bool) -> None:
    """Also while more comes all the time. Broken: a slow trickle of ends keeps it from being used."""
    backend, places, held = MemoryBackend(), _Thin(), Held()
    message = Message(id="1", task="t")
    await backend.commit([Transition(publish=(message,))])
    tasks = {"t": TaskInfo(kind="threads", queue="default", digest="", policy=DEFAULT)}
    settler = Settler(backend, tasks, held, Rules())
    fetcher = Fetcher(
        backend,
        places,
        settler,
        held,
        tasks,
        Rules(),
        inlets=Inlets(backend, Keep(), 1_000_000),
        holder="w",
        lease=60.0,
        queues=["default"],
    )
    fetching = asyncio.create_task(fetcher.run())

    async def free() -> None:
        while freeing:
            places.freed.set()
            await asyncio.sleep(0.001)

    trickle = asyncio.create_task(free())
    await asyncio.wait_for(places.took.wait(), 10)
    assert [each.message.id for each in places.taken] == ["1"]
    for task in (fetching, trickle):
        task.cancel()
    await asyncio.gather(fetching, trickle, return_exceptions=True)
