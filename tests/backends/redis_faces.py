"""Both faces of the way to a Redis server, awaited alike by a test."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

from ropeway.backends.redis.address import Address, parse
from ropeway.backends.redis.blocking import BlockingLink
from ropeway.backends.redis.dialling import Word
from ropeway.backends.redis.hearing import Seen
from ropeway.backends.redis.link import Link, RunOf
from ropeway.backends.redis.looped import LoopedLink
from ropeway.backends.redis.script import Script
from ropeway.stepping import step

T = TypeVar("T")
Face = Literal["looped", "blocking"]
MakeLink = Callable[[str], Link]

FACES: tuple[Face, ...] = ("looped", "blocking")


class InThreads:
    """A blocking link, each call in a thread, so that a proxy on the test's loop can work."""

    def __init__(self, address: Address) -> None:
        self.inner = BlockingLink(address)

    @property
    def address(self) -> Address:
        return self.inner.address

    async def open(self) -> None:
        await _threaded(self.inner.open())

    async def close(self) -> None:
        await _threaded(self.inner.close())

    async def run(self, script: Script, keys: Sequence[str | bytes], args: Sequence[Word]) -> Any:
        return await _threaded(self.inner.run(script, keys, args))

    async def run_all(self, keys: Sequence[str | bytes], calls: Iterator[RunOf]) -> list[Any]:
        return await _threaded(self.inner.run_all(keys, calls))

    async def command(self, *words: Word) -> Any:
        return await _threaded(self.inner.command(*words))

    def seen(self, names: Sequence[str]) -> Seen:
        return self.inner.seen(names)

    async def wait(
        self, names: Sequence[str], timeout: float, seen: Seen | None = None
    ) -> list[str]:
        return await _threaded(self.inner.wait(names, timeout, seen))

    def stir(self, names: Sequence[str]) -> None:
        self.inner.stir(names)


async def _threaded(verb: Coroutine[Any, Any, T]) -> T:
    return await asyncio.to_thread(step, verb)


@asynccontextmanager
async def links(face: Face) -> AsyncIterator[MakeLink]:
    """Yield what makes links of one face; they are closed at the end."""
    made: list[Link] = []

    def make(url: str) -> Link:
        made.append((LoopedLink if face == "looped" else InThreads)(parse(url)))
        return made[-1]

    yield make
    for link in made:
        await link.close()


def script(name: str, body: str, flags: str = "", **terms: Any) -> Script:
    """Make a script of a few words."""
    flags = flags if terms.get("writes", True) else "no-writes"
    source = f"#!lua flags={flags}\n{body}".encode()
    return Script(name, source, hashlib.sha1(source).hexdigest().encode(), **terms)


KEY = "{ropeway}n"
ADD = script("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])", repeatable=False)
"""Adds: each run of it can be counted."""

SET = script("set", "redis.call('SADD', KEYS[1], ARGV[1]) return redis.call('SCARD', KEYS[1])")
"""Adds to a set, so that repeating it does no harm."""

LOOK_AT_ALL = script("size", "return redis.call('SCARD', KEYS[1])", writes=False)
LOOK = script("look", "return redis.call('GET', KEYS[1])", writes=False)
TELL = script("tell", "redis.call('INCR', KEYS[1]) return redis.call('SPUBLISH', ARGV[1], '')")
