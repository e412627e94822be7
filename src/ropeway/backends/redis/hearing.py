"""What has been heard of names that somebody waits for: the same for both faces."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from ropeway.backends.redis.dialling import pack
from ropeway.backends.redis.names import channel
from ropeway.backends.redis.rows import ending_of
from ropeway.store import Told

POLL = 0.5
"""Seconds after which a waiter looks by itself, whether hinted or not."""

PULSE = 5.0
"""Seconds after which a connection that says nothing is asked whether it is there."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two tries to connect."""

FORGOTTEN_AFTER = 3.0
"""Seconds after which a name that nobody waits for is no longer subscribed."""


Seen = Mapping[str, int]
"""How often each name had changed at some moment, as far as was heard."""


class Heard:
    """How often each name has changed, as far as was heard, and what was reported of it.

    A name is forgotten when nobody has waited for it for some seconds, so that only those are
    subscribed that somebody waits for. One that is waited for again is new.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._changes: Counter[str] = Counter()
        self._reported: dict[str, int] = {}
        self._asked: dict[str, float] = {}
        self._names: dict[bytes, str] = {}
        self._words: dict[str, bytes] = {}
        self._swept = 0.0

    def new(self, names: Sequence[str]) -> list[bytes]:
        """Note that `names` are waited for; return the channels of those that were not."""
        now = time.monotonic()
        fresh = {channel(self._namespace, name): name for name in names if name not in self._asked}
        self._asked.update(dict.fromkeys(names, now))
        self._names.update(fresh)
        return list(fresh)

    def stale(self) -> list[bytes]:
        """Forget names that nobody waits for any more; return their channels."""
        now = time.monotonic()
        if now - self._swept < FORGOTTEN_AFTER / 3:
            return []
        self._swept = now
        old = {name for name, at in self._asked.items() if at < now - FORGOTTEN_AFTER}
        for name in old:
            del self._asked[name]
            self._reported.pop(name, None)
            self._changes.pop(name, None)
            self._words.pop(name, None)
        channels = [each for each, name in self._names.items() if name in old] if old else []
        for each in channels:
            del self._names[each]
        return channels

    def channels(self) -> list[bytes]:
        """The channels of all names that are waited for."""
        return list(self._names)

    def knows(self, subject: bytes) -> bool:
        """Whether somebody waits for what is said on a channel."""
        return subject in self._names

    def told(self, subject: bytes, words: bytes) -> None:
        """Hear what was said on a channel."""
        name = self._names.get(subject)
        if name is not None:
            self._changes[name] += 1
            self._words[name] = words

    def stirred(self, names: Sequence[str]) -> None:
        """Count a change of each name, though nothing was said of it."""
        self._changes.update(names)

    def told_all(self) -> None:
        """Hear that anything may have been missed."""
        for name in self._asked:
            self._changes[name] += 1
        self._words.clear()

    def seen(self, names: Sequence[str]) -> Seen:
        """Return what a waiter that begins now has seen, to be given to `changed`."""
        return {name: self._changes[name] for name in names}

    def changed(self, names: Sequence[str], seen: Seen | None = None) -> list[str]:
        """Return the names that changed since `seen`, or since they were reported last.

        Two that wait for one name both hear of it, as each compares with what it saw itself.
        """
        before = self._reported if seen is None else seen
        found = [name for name in names if before.get(name) != self._changes[name]]
        self._reported.update((name, self._changes[name]) for name in found)
        return [self._as_told(name) for name in found]

    def _as_told(self, name: str) -> str:
        words = self._words.get(name)
        ending = ending_of(words) if words else None
        return Told.of(name, ending) if ending else name


def subscription(channels: Sequence[bytes], forgotten: Sequence[bytes]) -> bytes:
    """Write what subscribes and leaves channels, with a PING whose reply comes when that is done."""
    join = pack("SSUBSCRIBE", *channels) if channels else b""
    leave = pack("SUNSUBSCRIBE", *forgotten) if forgotten else b""
    return leave + join + pack("PING")
