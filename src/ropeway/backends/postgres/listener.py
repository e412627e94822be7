"""The one connection of an event loop that hears of changes, and tells of them.

NOTIFY is sent outside of the transaction whose change it tells of: inside, commits would queue at
a lock of the whole server. So a hint may be lost, and whoever waits looks by himself too.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterable
from typing import Any

from ropeway.backends.postgres.hints import Hints, payloads, unpacked
from ropeway.backends.postgres.sessions import CONNECT, Opener, Session

_NOTIFY = "select pg_notify($1, payload) from unnest($2::text[]) as payload"
_PROBE = 10.0
"""Seconds after which a silent connection is asked whether it is still there."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class Listener:
    """Keeps a listening connection open from the first `start` to `close`, and calls `hints`."""

    def __init__(self, opener: Opener, hints: Hints) -> None:
        self._opener = opener
        self._hints = hints
        self._channel = opener.address.schema
        self._busy = asyncio.Lock()
        self._settled = asyncio.Event()
        self._session: Session | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self, patience: float) -> None:
        """Listen from now on; waits a while for it, and goes on without."""
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())
        if not self._settled.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._settled.wait()

    async def notify(self, tokens: Iterable[str]) -> bool:
        """Tell everybody who listens; False if there is no connection to do it over."""
        session = self._session
        if session is None or not session.usable:
            return False
        async with self._busy:
            await notify(session, self._channel, payloads(tokens, self._hints.teller))
        return True

    async def close(self) -> None:
        """End the connection."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._keeper = None
            self._settled.clear()

    async def _keep(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            with contextlib.suppress(Exception):  # whatever it is, it is tried again
                session = await self._opener.open()
                if session.pooled:
                    session.drop()
                    self._settled.set()
                    return
                pause = _FIRST_PAUSE
                await self._listen(session)
            # Nobody is held up by this: until it listens again there are the waiters' own looks.
            self._settled.set()
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _listen(self, session: Session) -> None:
        connection = session.connection
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        try:
            with contextlib.suppress(Exception):  # whatever it is, another one is opened
                async with asyncio.timeout(CONNECT):
                    await connection.add_listener(self._channel, self._heard)
                self._session = session
                self._settled.set()
                self._hints.tell_all()  # what happened meanwhile was not told
                await self._probe(session, ended)
        finally:
            self._session = None
            session.drop()

    async def _probe(self, session: Session, ended: asyncio.Event) -> None:
        """Return when the connection is lost."""
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PROBE):
                    await ended.wait()
                return
            async with self._busy:
                watchdog = asyncio.get_running_loop().call_later(CONNECT, session.drop)
                try:
                    await session.connection.execute("select 1")
                finally:
                    watchdog.cancel()

    def _heard(self, connection: Any, sender: int, channel: str, payload: Any) -> None:
        teller, tokens = unpacked(str(payload))
        if teller != self._hints.teller:  # its own have been told already
            self._hints.tell(tokens)


async def notify(session: Session, channel: str, texts: Iterable[str]) -> None:
    """Tell everybody who listens, over a given session."""
    watchdog = asyncio.get_running_loop().call_later(CONNECT, session.drop)
    try:
        await session.connection.execute(_NOTIFY, channel, list(texts))
    finally:
        watchdog.cancel()
