"""A namespace of a Redis server whose clock a test moves."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any

import redis
from msgspec.structs import replace

from ropeway.backends.redis.address import Address, parse
from ropeway.backends.redis.backend import RedisBackend
from ropeway.backends.redis.blocking import BlockingLink
from ropeway.backends.redis.hearing import Seen
from ropeway.backends.redis.link import Link, RunOf
from ropeway.backends.redis.looped import LoopedLink
from ropeway.backends.redis.script import Script
from ropeway.clock import ManualClock

_CLOCK = b"tonumber(time[1]) + tonumber(time[2]) / 1e6"
_numbers = itertools.count(1)


_TELL = b"call('SPUBLISH',"


@functools.lru_cache
def _shifted(script: Script, *, muted: bool) -> Script:
    """Return the script with a clock that is ahead by what a key says, and that tells nobody."""
    assert _CLOCK in script.source
    assert _TELL in script.source
    ahead = _CLOCK + b" + (tonumber(redis.call('GET', tag .. ':ahead') or 0))"
    source = script.source.replace(_CLOCK, ahead)
    if muted:
        source = source.replace(_TELL, b"tostring(")
    sha = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
    return replace(script, source=source, sha=sha)


class Shifted:
    """A link whose scripts read the clock of the test."""

    def __init__(self, link: Link, world: World) -> None:
        self.address = link.address
        self._link, self._world = link, world

    async def open(self) -> None:
        await self._link.open()

    async def close(self) -> None:
        await self._link.close()

    async def run(self, script: Script, keys: Sequence[str | bytes], args: Sequence[Any]) -> Any:
        return await self._link.run(_shifted(script, muted=self._world.muted), keys, args)

    async def run_all(self, keys: Sequence[str | bytes], calls: Iterator[RunOf]) -> list[Any]:
        muted = self._world.muted
        shifted = ((_shifted(script, muted=muted), args) for script, args in calls)
        return await self._link.run_all(keys, shifted)

    async def command(self, *words: Any) -> Any:
        return await self._link.command(*words)

    def seen(self, names: Sequence[str]) -> Seen:
        return self._link.seen(names)

    async def wait(
        self, names: Sequence[str], timeout: float, seen: Seen | None = None
    ) -> list[str]:
        return await self._link.wait(names, timeout, seen)

    def stir(self, names: Sequence[str]) -> None:
        self._link.stir(names)


class World(ManualClock):
    """A fresh namespace; as a clock it moves the time that is in force there."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.namespace = f"test-{os.getpid()}-{next(_numbers)}"
        self.address: Address = parse(f"{url}?namespace={self.namespace}")
        self.muted = False
        self.client = redis.Redis.from_url(url)

    def looped(self) -> RedisBackend:
        """Make another handle for the running loop."""
        return RedisBackend(Shifted(LoopedLink(self.address), self))

    def blocking(self) -> RedisBackend:
        """Make another handle that never suspends."""
        return RedisBackend(Shifted(BlockingLink(self.address), self))

    def mute(self) -> None:
        """From now on no change is told to anybody who waits."""
        self.muted = True

    def advance(self, seconds: float) -> None:
        """Move the clock of the namespace; nothing waits."""
        self.client.incrbyfloat(f"{{{self.namespace}}}:ahead", seconds)

    def all_keys(self) -> list[bytes]:
        """Return every key that the backend has in the namespace, by name."""
        own = f"{{{self.namespace}}}:".encode()
        found = self.client.scan_iter(match=own + b"*", count=1000)
        return sorted(key for key in found if key != own + b"ahead")

    def close(self) -> None:
        """Give up the connection."""
        self.client.close()
