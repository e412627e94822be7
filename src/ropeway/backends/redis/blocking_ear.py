"""How threads hear of changes: one connection for a process, read by one of those who wait."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence

import hiredis

from ropeway.backends.redis.blocking_wire import BlockingWire
from ropeway.backends.redis.dialling import PATIENCE, pack
from ropeway.backends.redis.hearing import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    POLL,
    PULSE,
    Heard,
    Seen,
    subscription,
)
from ropeway.backends.redis.wire import Lost, Reply
from ropeway.errors import RopewayError


class BlockingEar:
    """The verb `wait` for threads. `connect` makes the connection that they share.

    Whoever waits while nobody reads does so, and wakes the others for what is theirs; a thread of
    its own would have to be kept alive across forks, and cost a change of thread for each hint.
    """

    def __init__(self, namespace: str, connect: Callable[[], BlockingWire]) -> None:
        self._connect = connect
        self._changed = threading.Condition()
        self._heard = Heard(namespace)
        self._wire: BlockingWire | None = None
        self._reading = False
        # How many words the server owes a reply to, since the beginning, and has replied to.
        self._sent = self._replied = 0
        self._last_word = self._last_pulse = 0.0
        self._pause, self._next_try = FIRST_PAUSE, 0.0

    def seen(self, names: Sequence[str]) -> Seen:
        """See `Link.seen`."""
        with self._changed:
            return self._heard.seen(names)

    def wait(self, names: Sequence[str], timeout: float, since: Seen | None = None) -> list[str]:
        """See `Link.wait`."""
        with self._changed:
            fresh, stale = self._heard.new(names), self._heard.stale()
            if fresh or stale:
                self._subscribe(fresh, stale)
            # Of what was not subscribed nobody knows what happened since it was seen.
            found = self._heard.changed(names, None if fresh else since)
            if not found and timeout > 0:
                seen = self._heard.seen(names)
                self._listen(lambda: self._heard.seen(names) != seen, min(timeout, POLL))
                found = self._heard.changed(names, seen)
        # After a whole poll without a hint the names are reported all the same: the caller looks,
        # and a hint that was missed costs half a second.
        return found or (list(names) if timeout > POLL else [])

    def close(self) -> None:
        """Give up the connection."""
        with self._changed:
            self._drop()

    def leave_alone(self) -> None:
        """Close this process's end, in a child made by fork: the connection is its parent's."""
        if self._wire is not None:
            self._wire.close()

    # -- all of these hold the lock -------------------------------------------------------

    def _subscribe(self, channels: Sequence[bytes], stale: Sequence[bytes]) -> None:
        """Return when the server tells of changes on these channels, or cannot be reached."""
        if self._wire is None:
            if not self._open():
                return  # whoever waits goes on trying, and then subscribes all
        else:
            self._send(subscription(channels, stale))
        mine = self._sent
        self._listen(lambda: self._replied >= mine, PATIENCE)
        if self._replied < mine:
            self._drop()

    def _listen(self, done: Callable[[], bool], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not done() and (left := deadline - time.monotonic()) > 0:
            if self._wire is None and not self._open():
                self._changed.wait(min(left, max(FIRST_PAUSE, self._next_try - time.monotonic())))
            elif self._reading:
                self._changed.wait(left)
            else:
                self._read(left)

    def _read(self, timeout: float) -> None:
        """Read what comes, without the lock while nothing does."""
        wire = self._wire
        assert wire is not None
        self._reading = True
        self._changed.release()
        try:
            ready = wire.ready(timeout)
        finally:
            self._changed.acquire()
            self._reading = False
            self._changed.notify_all()
        if wire is not self._wire:
            return
        try:
            for reply in wire.take_in() if ready else ():
                self._take(reply)
        except Lost:
            self._drop()
        self._feel_the_pulse()

    def _take(self, reply: Reply) -> None:
        self._last_word = time.monotonic()
        if not isinstance(reply, hiredis.PushNotification):
            self._replied += 1
            if isinstance(reply, Exception):
                raise Lost(str(reply))
        elif reply[0] == b"smessage":
            self._heard.told(reply[1], reply[2])
        elif reply[0] == b"sunsubscribe" and self._heard.knows(reply[1]):
            raise Lost("the slot has moved to another node")

    def _feel_the_pulse(self) -> None:
        now = time.monotonic()
        if self._wire is None or now - self._last_word < PULSE:
            return
        if self._last_pulse < self._last_word:
            self._last_pulse = now
            self._send(pack("PING"))
        elif now - self._last_pulse > PATIENCE:
            self._drop()

    def _open(self) -> bool:
        """Connect, and subscribe all that is waited for; False where that cannot be done now."""
        if time.monotonic() < self._next_try:
            return False
        try:
            self._wire = self._connect()
        except RopewayError:
            self._next_try = time.monotonic() + self._pause * random.uniform(0.5, 1)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            return False
        self._last_word = time.monotonic()
        self._heard.told_all()
        self._send(subscription(self._heard.channels(), ()))
        return self._wire is not None

    def _send(self, packed: bytes) -> None:
        if self._wire is not None:
            try:
                self._wire.send(packed)
                self._sent += 1
            except Lost:
                self._drop()

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None
            self._next_try = time.monotonic() + self._pause * random.uniform(0.5, 1)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._replied = self._sent
        self._changed.notify_all()
