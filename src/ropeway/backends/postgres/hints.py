"""Hints on one event loop: what is waited for, how often it changed, and who has seen that."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

POLL = 0.5
"""Seconds after which a waiter looks by itself, whether hinted or not."""

_LONGEST_NAME = 60
_IN_A_PAYLOAD = 125
"""Tokens in one text, which may take 7,999 bytes."""

_FORGOTTEN_AFTER = 60.0
_MANY = 1024


def token(name: str) -> str:
    """Return what stands for a name in a hint: itself, or a digest if it is long or has lines."""
    if len(name) <= _LONGEST_NAME and name.isascii() and name.isprintable() and name[:1] != "#":
        return name
    return "#" + hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=12).hexdigest()


def payloads(tokens: Iterable[str], teller: str = "") -> Iterator[str]:
    """Pack tokens into texts that are within the server's bound on their length.

    The first line of each says who tells.
    """
    given = [*tokens]
    for start in range(0, len(given), _IN_A_PAYLOAD):
        yield "\n".join([teller, *given[start : start + _IN_A_PAYLOAD]])


def unpacked(payload: str) -> tuple[str, list[str]]:
    """Return who tells, and the tokens."""
    teller, *tokens = payload.split("\n")
    return teller, tokens


class Telling(NamedTuple):
    """What is told to those who wait: here by the tokens, elsewhere by texts on a channel."""

    tokens: set[str]
    channel: str
    texts: list[str]


class Hints:
    """What `wait` reports: names that were not waited for before, and those that were told."""

    def __init__(self) -> None:
        self.teller = secrets.token_hex(4)
        """What it is called by those who hear of what it tells."""
        self._changes: dict[str, int] = {}
        # What the last wait that reported a name had seen.
        self._seen: dict[str, int] = {}
        self._asked: dict[str, float] = {}
        self._waiters: dict[str, set[asyncio.Future[bool]]] = {}

    def tell(self, tokens: Iterable[str]) -> None:
        """Let those hear who wait for any of these, now or later."""
        for each in tokens:
            if each in self._changes:
                self._changes[each] += 1
                for waiter in self._waiters.get(each, ()):
                    _end(waiter, True)

    def tell_all(self) -> None:
        """Let everybody look: hints may have been lost."""
        self.tell(list(self._changes))

    async def wait(self, names: Sequence[str], timeout: float) -> list[str]:
        """See `Store.wait`."""
        tokens = [token(name) for name in names]
        self._remember(tokens)
        changed = self._take(tokens, self._seen)
        if not changed and timeout > 0:
            # Compared with what this waiter saw, so that of two that wait for a name both hear.
            seen = {each: self._changes[each] for each in tokens}
            if await self._told(tokens, min(timeout, POLL)):
                changed = self._take(tokens, seen)
        if not changed and timeout > POLL:
            return list(names)
        return [name for name, each in zip(names, tokens, strict=True) if each in changed]

    async def _told(self, tokens: Sequence[str], timeout: float) -> bool:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        different = frozenset(tokens)  # several claims may name one queue
        for each in different:
            self._waiters.setdefault(each, set()).add(waiter)
        timer = loop.call_later(timeout, _end, waiter, False)
        try:
            return await waiter
        finally:
            timer.cancel()
            for each in different:
                waiting = self._waiters[each]
                waiting.discard(waiter)
                if not waiting:
                    del self._waiters[each]

    def _take(self, tokens: Sequence[str], seen: dict[str, int]) -> set[str]:
        changed = {each for each in tokens if seen.get(each) != self._changes[each]}
        self._seen.update((each, self._changes[each]) for each in changed)
        return changed

    def _remember(self, tokens: Sequence[str]) -> None:
        now = asyncio.get_running_loop().time()
        for each in tokens:
            self._changes.setdefault(each, 0)
            self._asked[each] = now
        if len(self._asked) > _MANY:
            self._forget(now - _FORGOTTEN_AFTER)

    def _forget(self, before: float) -> None:
        """Forget names that nobody asks for any more; asked for again, they are new."""
        for each in [each for each, last in self._asked.items() if last < before]:
            if each not in self._waiters:
                del self._asked[each], self._changes[each]
                self._seen.pop(each, None)


def _end(waiter: asyncio.Future[bool], told: bool) -> None:
    if not waiter.done():
        waiter.set_result(told)
