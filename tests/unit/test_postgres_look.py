"""What a look at a database says: when something may be found, and whether one statement takes it."""

from __future__ import annotations

import math

import pytest

from ropeway.backends.postgres.look import Look
from ropeway.claims import Claim

_DEFAULT, _OTHER = ("default", 0), ("other", 0)
_CLAIMS = [Claim("default", 9, kinds=("threads",)), Claim("other", 9, kinds=("threads", "loop"))]


@pytest.mark.parametrize(
    ("looked", "simple"),
    [
        (Look(now=5.0, lanes={_DEFAULT: {10: 4.0}}), True),
        (Look(now=5.0, lanes={_DEFAULT: {10: 4.0}, _OTHER: {10: 6.0}}), True),
        (Look(now=5.0, lanes={_DEFAULT: {10: 4.0, 12: 6.0}}), True),
        (Look(now=5.0, lanes={_DEFAULT: {10: 4.0}}, expiries={_OTHER: 6.0}), True),
        (Look(now=5.0, lanes={_DEFAULT: {10: 4.0}, _OTHER: {10: 4.0}}), False),
        (Look(now=5.0, lanes={_DEFAULT: {10: 4.0, 12: 4.0}}), False),
        (Look(now=5.0, lanes={_DEFAULT: {11: 4.0}}), False),
        (Look(now=5.0, lanes={_DEFAULT: {10: 4.0, 11: 6.0}}), False),
        (Look(now=5.0, lanes={_OTHER: {10: 4.0}, ("other", 1): {10: 6.0}}), False),
        (Look(now=5.0, lanes={_DEFAULT: {10: 4.0}}, expiries={_OTHER: 5.0}), False),
        (Look(now=5.0, lanes={_DEFAULT: {10: 4.0}}, wakes={_OTHER: 5.0}), False),
        (Look(now=5.0), False),
    ],
)
def test_one_statement_does_when_one_lane_has_something(looked: Look, simple: bool) -> None:
    """Several lanes have to be put in order, limits counted, leases taken over: that takes more."""
    assert looked.is_simple(_CLAIMS) is simple


def test_the_next_that_may_be_found() -> None:
    """The first of what is due, of a lease that ends, and of a limit that may have room again."""
    lanes = {_DEFAULT: {10: 8.0, 4: 7.5}, ("never asked for", 0): {10: 1.0}}
    assert Look(now=5.0, lanes=lanes).ready_in(_CLAIMS) == 2.5
    assert Look(now=5.0, lanes=lanes, expiries={_OTHER: 6.0}).ready_in(_CLAIMS) == 1.0
    assert Look(now=5.0, lanes=lanes, wakes={_OTHER: 4.0}).ready_in(_CLAIMS) == -1.0
    assert Look(now=5.0, lanes=lanes).ready_in([Claim("default", 1, 5, 9)]) == 3.0
    assert Look(now=5.0).ready_in(_CLAIMS) == math.inf
