"""How many children there should be, look by look."""

from __future__ import annotations

import pytest

from ropeway.worker.scale import Gauge

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
