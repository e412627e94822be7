"""Two things at once, or one after the other; and several of which the first to speak is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_Done = Coroutine[Any, Any, None]
_Found = Coroutine[Any, Any, list[T]]


async def in_turn(first: _Done, second: _Found[T]) -> tuple[Exception | None, list[T]]:
    """Do one after the other, and return what the second returns; what the first raises is raised."""
    try:
        await first
    except BaseException:
        second.close()
        raise
    return None, await second


async def at_once(first: _Done, second: _Found[T]) -> tuple[Exception | None, list[T]]:
    """Begin both in this order; what the first raises is returned if the second has found something."""
    done, found = await asyncio.gather(first, second, return_exceptions=True)
    if isinstance(found, BaseException):
        raise found
    if isinstance(done, Exception) and found:
        return done, found
    if isinstance(done, BaseException):
        raise done
    return None, found


async def first_of(*waits: Coroutine[Any, Any, list[str]]) -> list[str]:
    """Return what is heard first, or nothing when all have ended without a word."""
    tasks = [asyncio.create_task(each) for each in waits]
    try:
        heard, pending = list[str](), set(tasks)
        while pending and not heard:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            heard = [name for each in done for name in each.result()]
    finally:
        for each in tasks:
            each.cancel()
        rest = await asyncio.gather(*tasks, return_exceptions=True)
    # One that ended meanwhile will not report the same again.
    late = [name for each in rest if isinstance(each, list) for name in each]
    return list(dict.fromkeys([*heard, *late]))
