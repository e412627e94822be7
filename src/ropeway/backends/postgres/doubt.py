"""Connections that are half open: found out long before a deadline, by asking over another one.

An answer that does not come may be slow, or it, or the question, may have got lost on the way. The
server knows: a session that it does nothing for, and of which somebody waits for an answer, is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import asyncpg

from ropeway.backends.postgres.sessions import Opener, Session

DOUBTFUL = 1.5
"""Seconds without an answer after which the server is asked."""

_BETWEEN = 0.3
"""Seconds in which an answer that the server has given is surely read."""

_ASKING = 2.0

_STATES = "select pid, state, state_change from pg_stat_activity where pid = any($1::int[])"


class Doubts:
    """Watches the sessions whose answers are awaited, and drops those that are dead."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._since: dict[Session, float] = {}
        self._asker: asyncio.Task[None] | None = None

    def watch(self, session: Session) -> None:
        """Somebody waits from now on for what it answers."""
        if session.pooled:
            return  # the server knows of the pooler's sessions only
        self._since[session] = asyncio.get_running_loop().time()
        if self._asker is None:
            self._asker = asyncio.create_task(self._ask())

    def forget(self, session: Session) -> None:
        """Nobody does any more."""
        self._since.pop(session, None)

    async def close(self) -> None:
        """Doubt nothing any more."""
        if self._asker is not None:
            self._asker.cancel()
            await asyncio.wait([self._asker])
            self._asker = None

    async def _ask(self) -> None:
        try:
            while self._since:
                await asyncio.sleep(DOUBTFUL)
                with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await self._look()  # where nobody answers nothing is known
        finally:
            self._asker = None

    def _late(self) -> dict[int, Session]:
        before = asyncio.get_running_loop().time() - DOUBTFUL
        sessions = (each for each, since in self._since.items() if since <= before)
        return {each.connection.get_server_pid(): each for each in sessions if each.usable}

    async def _look(self) -> None:
        late = self._late()
        if not late:
            return
        async with asyncio.timeout(_ASKING):
            connection = await self._opener.connect(prepares=False)
        try:
            async with asyncio.timeout(_ASKING):
                first = await self._idle(connection, late)
                await asyncio.sleep(_BETWEEN)
                then = await self._idle(connection, late)
        finally:
            connection.terminate()
        for pid, session in late.items():
            if pid in first and first[pid] == then.get(pid, ()) and session in self._since:
                session.drop()

    async def _idle(self, connection: Any, late: dict[int, Session]) -> dict[int, Any]:
        """Those for whom the server does nothing, each with since when; or that are gone."""
        rows = await connection.fetch(_STATES, list(late))
        known = {row["pid"]: row for row in rows}
        idle: dict[int, Any] = {pid: None for pid in late if pid not in known}
        for pid, row in known.items():
            if row["state"] is not None and row["state"].startswith("idle"):
                idle[pid] = row["state_change"]
        return idle
