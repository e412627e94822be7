"""Moments at which loops look by themselves: the same for all of them, so that a worker wakes once."""

from __future__ import annotations

import asyncio


def until(period: float) -> float:
    """Return the seconds to the next of the moments that are a `period` apart on the loop's clock."""
    return period - asyncio.get_running_loop().time() % period
