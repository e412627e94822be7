"""The app that is measured: tasks that do next to nothing."""

from __future__ import annotations

import os

from ropeway import Ropeway

app = Ropeway(os.environ["ROPEWAY_URL"])


@app.task
async def first() -> int:
    """Begin a chain."""
    return 0


@app.task
async def step(x: int) -> int:
    """Go one step on."""
    return x + 1


@app.task
async def many(n: int) -> list[int]:
    """Return what a map is over."""
    return list(range(n))


@app.task
async def one(x: int) -> int:
    """Be one item."""
    return x


@app.task
async def total(xs: list[int]) -> int:
    """Reduce."""
    return sum(xs)
