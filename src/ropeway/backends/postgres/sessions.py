"""Opening a session: to a server that can write, with the settings that ropeway relies on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from ropeway.backends.postgres.address import Address
from ropeway.backends.postgres.failures import translated
from ropeway.backends.postgres.hedge import hedged
from ropeway.errors import BackendUnavailable

OLDEST = 14
"""The oldest version of PostgreSQL that is worked with."""

CONNECT = 5.0
"""Seconds within which a session must be open."""

DEADLINE = 15.0
"""Seconds for a whole transaction, from the wait for a connection to the answer to its commit."""

_SETTINGS = {
    # The server gives up first, so that its answer says what was slow.
    "statement_timeout": "10s",
    # A client that vanished holds its locks no longer than anybody waits for an answer.
    "idle_in_transaction_session_timeout": "15s",
    "tcp_user_timeout": "15s",
    "default_transaction_isolation": "read committed",
    "jit": "off",
    # Every statement has an index that is made for it: whatever the server believes of how many rows
    # there are, never analysed or analysed when there were none, it is to go by that one.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
}
_LISTENING = {"tcp_keepalives_idle": "15", "tcp_keepalives_interval": "5"}

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection


class Session:
    """One connection of one event loop, and whether a pooler is in between."""

    __slots__ = ("begin", "connection", "idle_since", "pooled")

    def __init__(self, connection: Connection, begin: str, *, pooled: bool) -> None:
        self.connection = connection
        self.begin = begin
        self.pooled = pooled
        self.idle_since = 0.0

    @property
    def usable(self) -> bool:
        """Whether it is open, as far as is known."""
        return not self.connection.is_closed()

    def drop(self) -> None:
        """End it without a word to anybody."""
        self.connection.terminate()


class Opener:
    """Opens sessions of one address, and remembers whether a pooler is in between.

    A pooler that gives each transaction another session keeps no settings, no prepared statements
    and no LISTEN: then settings are made in each transaction, and nothing is prepared.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.pooled = address.pooler

    async def open(self) -> Session:
        """Open one; raises what `translated` makes of the reasons why not."""
        try:
            if self.pooled is None:
                self.pooled = await self._is_pooled()
            connection = await self.connect(prepares=not self.pooled)
            try:
                if not self.pooled:
                    await connection.execute(self._set("set"))
            except BaseException:
                connection.terminate()
                raise
        except Exception as error:
            raise translated(error, self.address, unknown=False) from error
        version = connection.get_server_version()
        if version.major < OLDEST:
            connection.terminate()
            raise BackendUnavailable(
                f"{self.address} is PostgreSQL {version.major}, which is too old",
                hint=f"use {OLDEST} or newer",
            )
        begin = f"begin isolation level read committed; {self.within()}"
        return Session(connection, begin if self.pooled else "begin", pooled=self.pooled)

    async def _is_pooled(self) -> bool:
        connection = await self.connect(prepares=False)
        try:
            # A pooler gives its clients numbers of its own making. No parameters: it would prepare.
            asked = f"select 1 where pg_backend_pid() = {connection.get_server_pid()}"
            return await connection.execute(asked) != "SELECT 1"
        finally:
            connection.terminate()

    def within(self) -> str:
        """Return what makes the settings in a transaction, for the rest of it."""
        return self._set("set local")

    async def connect(self, *, prepares: bool) -> Connection:
        """Connect, with the server's own settings; raises what asyncpg does."""
        return await hedged(lambda: self._dial(prepares=prepares), lambda late: late.terminate())

    async def _dial(self, *, prepares: bool) -> Connection:
        return await asyncpg.connect(
            self.address.dsn,
            timeout=CONNECT,
            command_timeout=DEADLINE,
            statement_cache_size=200 if prepares else 0,
            max_cached_statement_lifetime=0,
            target_session_attrs=asyncpg.connect_utils.SessionAttribute(self.address.target),
            server_settings={"application_name": self.address.application_name},
        )

    def _set(self, verb: str) -> str:
        settings = {**_SETTINGS, "search_path": self.address.schema, **_LISTENING}
        made = [f"{verb} {name} = '{value}'" for name, value in settings.items()]
        return "; ".join([*made, self._synchronous(local=verb != "set")])

    def _synchronous(self, *, local: bool) -> str:
        # A server that is set to wait for its standbys goes on doing so: only "off" is too little.
        if self.address.durability == "process":
            return f"set {'local ' if local else ''}synchronous_commit = 'off'"
        return (
            f"select set_config('synchronous_commit', 'on', {str(local).lower()})"
            " where current_setting('synchronous_commit') = 'off'"
        )
