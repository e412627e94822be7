"""A wrong wall clock for one process."""

from __future__ import annotations

import os
import time

CLOCK = "CHAOS_CLOCK"
"""The environment variable that says by how many seconds the process's clock is wrong."""

_time = time.time


def skew() -> None:
    """Have this process's clock be wrong from now on, as its environment wants it."""
    offset = float(os.environ.get(CLOCK, "0"))
    time.time = lambda: _time() + offset
