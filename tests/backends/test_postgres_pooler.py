"""Behind a pooler that gives each transaction another session: nothing is left in one, or needed."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ropeway import Ropeway, current
from ropeway.backends.postgres.address import Address
from ropeway.backends.postgres.hints import POLL
from ropeway.backends.postgres.link import Link
from ropeway.backends.postgres.sessions import Connection
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy

_KEY_DATA = b"K\x00\x00\x00\x0c"


class Disguised(Proxy):
    """Gives sessions numbers of its own making, as poolers do."""

    def changed(self, data: bytes) -> bytes:
        """Change the number that the server has given the session."""
        place = data.find(_KEY_DATA)
        if place < 0:
            return data
        number = struct.pack("!i", 123)
        return data[: place + 5] + number + data[place + 9 :]


@pytest.fixture
async def pooler(postgres: Postgres) -> AsyncIterator[Disguised]:
    """Return what stands before the server."""
    async with Disguised(postgres.port) as pooler:
        yield pooler


async def _left_in(connection: Connection) -> Any:
    return await connection.fetchval(
        "select current_setting('search_path') || (select count(*) from pg_prepared_statements)"
    )


async def test_it_is_noticed_and_sessions_are_left_as_they_were(
    postgres_url: str, pooler: Disguised
) -> None:
    """Settings hold for a transaction, and no statement is prepared under a name."""
    url = pooler.url(postgres_url)
    for address in (Address.of(url), Address.of(postgres_url + "?pooler=transaction")):
        link = Link(address)
        try:
            assert await link.run(_left_in, write=True, single=True) == "ropeway0"
            assert await link.run(_left_in, write=False) == "ropeway0"
            assert link.opener.pooled
            session = await link._pool.take(asyncio.get_running_loop().time() + 5)
            assert await _left_in(session.connection) == '"$user", public0'
            link._pool.give(session)
        finally:
            await link.close()
    direct = Link(Address.of(postgres_url))
    try:
        assert await direct.run(_left_in, write=True) not in {"ropeway0", "public0"}
        assert not direct.opener.pooled
    finally:
        await direct.close()


async def test_hints_go_out_and_do_not_come_in(postgres_url: str) -> None:
    """Who waits behind it looks by himself; who waits elsewhere is told."""
    behind, direct = (
        Link(Address.of(postgres_url + "?pooler=transaction")),
        Link(Address.of(postgres_url)),
    )
    try:
        for link in (behind, direct):
            await link.wait(["a"], 1.0)
        waiting = asyncio.create_task(direct.wait(["a"], 0.9 * POLL))
        await asyncio.sleep(0)
        await behind.notify(["a"])
        assert await waiting == ["a"]
        await behind.wait(["a"], 0)
        await direct.notify(["a"])
        assert await behind.wait(["a"], 0.9 * POLL) == []
        assert await behind.wait(["a"], 1.1 * POLL) == ["a"]
    finally:
        await behind.close()
        await direct.close()


async def test_a_whole_app_works_behind_it(postgres_url: str, pooler: Disguised) -> None:
    """Sends, a worker, results, and a task that settles with its own transaction."""
    app = Ropeway(pooler.url(postgres_url))

    async def add(x: int, y: int) -> int:
        return x + y

    async def own(n: int) -> int:
        async with current.transaction() as connection:
            await connection.execute("create table public.mine as select $1::int as n", n)
        return n

    adding, owning = app.task(name="add")(add), app.task(name="own")(own)
    jobs = await app.asend_many(adding.call(n, 1) for n in range(50))
    async with app.worker():
        assert [await job.aresult(timeout=20) for job in jobs] == [*range(1, 51)]
        assert await (await owning.asend(7)).aresult(timeout=20) == 7
    await app.aclose()
