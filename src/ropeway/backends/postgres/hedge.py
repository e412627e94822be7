"""A way to connect that does not wait long for a network that was away when it was first tried."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

AGAIN = 1.5
"""Seconds without an answer after which a second try begins beside the first, and so on."""


async def hedged(dial: Callable[[], Coroutine[Any, Any, T]], drop: Callable[[T], None]) -> T:
    """Return what the first of several tries has, or raise what the first that failed does.

    Each ends by a timeout of its own, and so does the first. What a later one has is dropped.
    """
    tries: list[asyncio.Task[T]] = []

    def over(task: asyncio.Task[T]) -> None:
        if not task.cancelled() and task.exception() is None and task is not winner:
            drop(task.result())

    winner: asyncio.Task[T] | None = None
    try:
        while True:
            tries.append(asyncio.create_task(dial()))
            done, _ = await asyncio.wait(tries, timeout=AGAIN, return_when=asyncio.FIRST_COMPLETED)
            if done:
                winner = next((task for task in done if task.exception() is None), None)
                return (winner or done.pop()).result()
    finally:
        for task in tries:
            task.add_done_callback(over)
            task.cancel()
