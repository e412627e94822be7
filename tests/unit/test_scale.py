"""How many children there should be, look by look."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ropeway.backends.memory import MemoryBackend
from ropeway.clock import ManualClock
from ropeway.message import Message
from ropeway.pauses import pause
from ropeway.transition import Transition
from ropeway.worker.scale import Gauge, Scaler

# One look a second: (share of slots taken, seconds that the oldest job has waited).
CROWDED, BUSY, LATE, CALM = (1.0, 5.0), (1.0, 0.1), (0.5, 9.0), (0.0, 0.0)


def sizes(gauge: Gauge, size: int, looks: list[tuple[float, float]]) -> list[int]:
    found = []
    for second, (busy, late) in enumerate(looks, 1):
        size = gauge.look(float(second), size, busy, late)
        found.append(size)
    return found


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([CROWDED] * 9, [1, 1, 2, 2, 2, 3, 3, 3, 4]),  # quickly, and half as many again each time
        ([BUSY] * 9, [1] * 9),  # full, and nobody waits for long: that is how it should be
        ([LATE] * 9, [1] * 9),  # what waits is not waiting for children
        ([CROWDED, BUSY] * 5, [1] * 10),  # a moment is no reason
        ([CALM] * 40, [1] * 40),
    ],
)
def test_growing(looks: list[tuple[float, float]], expected: list[int]) -> None:
    """Only when jobs are late, and there is no room, and that lasts."""
    assert sizes(Gauge(1, 5), 1, looks) == expected


def test_not_beyond_the_limits() -> None:
    """Neither more than the most nor fewer than the least, and from outside back in."""
    assert sizes(Gauge(1, 3), 3, [CROWDED] * 20)[-1] == 3
    assert sizes(Gauge(2, 3), 2, [CALM] * 100)[-1] == 2
    assert sizes(Gauge(2, 4), 9, [BUSY]) == [4]
    assert sizes(Gauge(2, 4), 1, [BUSY]) == [2]


def test_shrinking_takes_its_time() -> None:
    """One by one, after half a minute each, and not while half of the rest would be taken."""
    calm = sizes(Gauge(1, 5), 3, [CALM] * 65)
    assert calm[:30] == [3] * 30
    assert calm[-1] == 1
    assert sorted(calm, reverse=True) == calm
    assert sizes(Gauge(1, 5), 3, [(0.5, 0.0)] * 100)[-1] == 3
    interrupted = ([CALM] * 25 + [BUSY]) * 4
    assert sizes(Gauge(1, 5), 3, interrupted)[-1] == 3


class Crowded:
    """A fleet whose slots are all taken; it notes what size it is told to have."""

    size = 1

    def load(self) -> float:
        return 1.0

    def resize(self, size: int) -> None:
        self.size = size


async def grown(
    queues: list[str] | None, waiting: str, monkeypatch: pytest.MonkeyPatch, held: str = ""
) -> int:
    clock, fleet = ManualClock(), Crowded()
    backend = MemoryBackend(clock)
    if held:
        await pause(backend, held, by="me")
    await backend.commit([Transition(publish=(Message(id="j", task="t", queue=waiting),))])
    clock.advance(60)
    monkeypatch.setattr("ropeway.worker.scale.time.monotonic", clock.boot)
    scaler = Scaler(backend, cast("Any", fleet), queues, 1, 8)
    for _ in range(3):
        await scaler.run_once()
        clock.advance(1)
    return fleet.size


@pytest.mark.parametrize(
    ("queues", "waiting", "grows"),
    [
        (None, "mail", True),
        (["mail"], "mail", True),
        (["m*"], "mail", True),  # a pattern is the name of no queue
        (["sms"], "mail", False),
        (None, "mail[gpu=1]", False),  # more children have no more of a resource
    ],
)
async def test_what_more_children_can_help(
    queues: list[str] | None, waiting: str, grows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what waits in queues that are served, and does not wait for something else."""
    assert (await grown(queues, waiting, monkeypatch) > 1) is grows


@pytest.mark.parametrize(("held", "grows"), [("mail", False), ("sms", True)])
async def test_a_paused_queue_needs_nobody(
    held: str, grows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits in a paused queue is not late: no child, old or new, would claim it."""
    assert (await grown(None, "mail", monkeypatch, held) > 1) is grows
