"""The few connections of one event loop: opened when needed, used again, ended when idle."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

from ropeway.backends.postgres.sessions import Opener, Session
from ropeway.errors import BackendUnavailable

SIZE = 4
"""Connections at most that one event loop works with at once."""

_IDLE = 30.0
"""Seconds after which a connection that was not needed is ended; the last one stays."""


class Pool:
    """Lends sessions; the one that was used last goes first, so that the others can be ended."""

    def __init__(self, opener: Opener, size: int = SIZE) -> None:
        self._opener = opener
        self._free: deque[Session] = deque()
        self._lent: set[Session] = set()
        self._room = asyncio.Semaphore(size)
        self._minder: asyncio.Task[None] | None = None

    async def take(self, deadline: float) -> Session:
        """Lend a session; raises `BackendUnavailable` when none is to be had before `deadline`."""
        if self._room.locked():
            await self._wait_for_room(deadline)
        else:
            await self._room.acquire()
        try:
            session = self._usable() or await self._open(deadline)
        except BaseException:
            self._room.release()
            raise
        self._lent.add(session)
        return session

    def give(self, session: Session) -> None:
        """Take a session back, for the next one if it is still of use."""
        self._lent.discard(session)
        self._room.release()
        if session.usable:
            session.idle_since = asyncio.get_running_loop().time()
            self._free.append(session)
            if self._minder is None:
                self._minder = asyncio.create_task(self._mind())

    def distrust(self) -> None:
        """End what lies idle: one connection was lost, and the others most likely were too."""
        while self._free:
            self._free.pop().drop()

    async def _mind(self) -> None:
        """End what lies idle too long, and all of it when the event loop ends."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await asyncio.sleep(_IDLE)
                while len(self._free) > 1 and loop.time() - self._free[0].idle_since > _IDLE:
                    self._free.popleft().drop()
        finally:
            self.distrust()

    async def close(self) -> None:
        """End all, those that are lent as well."""
        for session in self._lent:
            session.drop()
        while self._free:
            session = self._free.pop()
            with contextlib.suppress(Exception):
                await session.connection.close(timeout=1.0)
        if self._minder is not None:
            self._minder.cancel()
            await asyncio.wait([self._minder])
            self._minder = None

    def _usable(self) -> Session | None:
        while self._free:
            session = self._free.pop()
            if session.usable:
                return session
        return None

    async def _wait_for_room(self, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await self._room.acquire()
        except TimeoutError:
            raise BackendUnavailable(
                f"{self._opener.address} is too slow: no connection became free in time",
                away=True,
            ) from None

    async def _open(self, deadline: float) -> Session:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._opener.open()
        except TimeoutError:
            fact = f"{self._opener.address} does not answer"
            raise BackendUnavailable(fact, away=True) from None
