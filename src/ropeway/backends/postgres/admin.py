"""The schema of a database, for people: how it stands, and bringing it up to date."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

from msgspec import Struct

from ropeway.backends.postgres import migrations
from ropeway.backends.postgres.address import Address
from ropeway.backends.postgres.link import Link
from ropeway.backends.postgres.sessions import Connection

T = TypeVar("T")

_LONGEST = 3600.0
"""Seconds that all steps together may take."""


class Standing(Struct, frozen=True, kw_only=True):
    """Which schema a database has, and what is to be done about it.

    `found` is 0 where there is none. "behind" and "too new" are refused by those who open it.
    """

    schema: str
    found: int
    known: int
    state: Literal["missing", "behind", "current", "newer", "too new"]
    server: str


def standing(url: str) -> Standing:
    """Look how the schema stands; nothing is made."""
    address = Address.of(url)

    async def look(connection: Connection) -> Standing:
        there = await migrations.version(connection, address.schema)
        server = await connection.fetchval("show server_version")
        return Standing(
            schema=address.schema,
            found=there.found,
            known=migrations.known(),
            state=_state(there),
            server=server,
        )

    return asyncio.run(_once(address, look, write=False))


def migrate(url: str) -> list[int]:
    """Bring the schema up to date; return the versions that were gone through."""
    address = Address.of(url)

    async def work(connection: Connection) -> list[int]:
        return await migrations.migrate(connection, address.schema)

    return asyncio.run(_once(address, work, write=True))


def script(url: str) -> str:
    """Write what `migrate` would do to this database as a text for `psql`."""
    address = Address.of(url)
    return migrations.script(address.schema, after=standing(url).found)


def whole_script(url: str) -> str:
    """Write all steps from the first on; no server is asked."""
    return migrations.script(Address.of(url).schema)


class Measured(Struct, frozen=True, kw_only=True):
    """How a server is set, how far away it is, and how long a change takes there, in seconds.

    `times` are what the clock was here, there, and here again.
    """

    settings: dict[str, str]
    replicas: int
    times: list[tuple[float, float, float]]
    changes: list[float]


_SETTINGS = (
    "server_version",
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "synchronous_standby_names",
    "idle_in_transaction_session_timeout",
)
_TIMES = 20


def measured(url: str) -> Measured:
    """Look at a server, and measure the way there; nothing is left there."""
    return asyncio.run(_measured(Address.of(url)))


async def _measured(address: Address) -> Measured:
    async def look(connection: Connection) -> tuple[dict[str, str], int, list[Any]]:
        rows = await connection.fetch(
            "select name, reset_val from pg_settings where name = any($1)", list(_SETTINGS)
        )
        replicas = await connection.fetchval("select count(*) from pg_stat_replication")
        times = []
        for _ in range(_TIMES):
            before = time.time()
            there = await connection.fetchval("select extract(epoch from clock_timestamp())")
            times.append((before, float(there), time.time()))
        return {row["name"]: row["reset_val"] for row in rows}, replicas, times

    async def change(connection: Connection) -> None:
        await connection.execute("select pg_logical_emit_message(true, 'ropeway', '')")

    link = Link(address, deadline=15.0, prepares=False)
    try:
        settings, replicas, times = await link.run(look, write=False)
        changes = []
        for _ in range(_TIMES):
            start = time.perf_counter()
            await link.run(change, write=True)
            changes.append(time.perf_counter() - start)
    finally:
        await link.close()
    return Measured(settings=settings, replicas=replicas, times=times, changes=changes)


async def _once(address: Address, work: Callable[[Connection], Awaitable[T]], *, write: bool) -> T:
    link = Link(address, deadline=_LONGEST if write else 15.0, prepares=False)
    try:
        return await link.run(work, write=write)
    finally:
        await link.close()


def _state(
    there: migrations.Version,
) -> Literal["missing", "behind", "current", "newer", "too new"]:
    if there.found == 0:
        return "missing"
    if there.found < migrations.known():
        return "behind"
    if there.found == migrations.known():
        return "current"
    return "newer" if there.needs <= migrations.known() else "too new"
