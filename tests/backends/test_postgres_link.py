"""The way to a PostgreSQL server: what is cut, stopped or killed ends with one clear answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from ropeway.backends.postgres.address import Address
from ropeway.backends.postgres.hints import POLL
from ropeway.backends.postgres.link import Link
from ropeway.backends.postgres.sessions import Connection, Session
from ropeway.errors import BackendUnavailable, Indeterminate
from tests.conftest import AsyncEventually
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy

DEADLINE = 2.0

MakeLink = Callable[..., Link]


@pytest.fixture
async def make() -> AsyncIterator[MakeLink]:
    """Return what makes links, which are closed at the end."""
    async with contextlib.AsyncExitStack() as stack:

        def made(url: str, deadline: float = DEADLINE) -> Link:
            link = Link(Address.of(url), deadline=deadline, prepares=False)
            stack.push_async_callback(link.close)
            return link

        yield made


@pytest.fixture
async def proxy(postgres: Postgres) -> AsyncIterator[Proxy]:
    """Return what stands between a link and the server, and can swallow or cut."""
    async with Proxy(postgres.port) as proxy:
        yield proxy


async def _one(connection: Connection) -> Any:
    return await connection.fetchval("select 1")


async def _add(connection: Connection) -> Any:
    return await connection.fetchval("insert into public.t values (1) returning n")


def _table(postgres: Postgres, url: str) -> str:
    database = url.rpartition("/")[2]
    postgres.sql("create table t (n int)", database)
    return database


async def test_work_is_committed_or_rolled_back_as_a_whole(
    make: MakeLink, postgres: Postgres, postgres_url: str
) -> None:
    """What `work` raises reaches the caller, and undoes what it wrote."""
    link, database = make(postgres_url), _table(postgres, postgres_url)

    async def fails(connection: Connection) -> None:
        await _add(connection)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await link.run(fails, write=True)
    assert await link.run(_add, write=True) == 1
    assert postgres.sql("select count(*) from t", database) == "1"


async def test_a_swallowed_failure_is_no_commit(
    make: MakeLink, postgres: Postgres, postgres_url: str
) -> None:
    """A transaction that the server gave up says so, also when the work passed over it."""
    link, _ = make(postgres_url), _table(postgres, postgres_url)

    async def hides(connection: Connection) -> None:
        await _add(connection)
        with contextlib.suppress(Exception):
            await connection.execute("select 1 / 0")

    with pytest.raises(BackendUnavailable, match="passed over"):
        await link.run(hides, write=True)
    assert await link.run(_one, write=True) == 1


async def test_deadlocks_are_tried_again(
    make: MakeLink, postgres: Postgres, postgres_url: str
) -> None:
    """Two that take the same rows in different orders both come through."""
    link, database = make(postgres_url, 20.0), _table(postgres, postgres_url)
    postgres.sql("insert into public.t values (1), (2)", database)
    met = asyncio.Barrier(2)
    tries = 0

    def taking(first: int, second: int) -> Callable[[Connection], Any]:
        async def work(connection: Connection) -> None:
            nonlocal tries
            tries += 1
            await connection.execute("update public.t set n = n where n = $1", first)
            if tries <= 2:
                await met.wait()
            await connection.execute("update public.t set n = n where n = $1", second)

        return work

    await asyncio.gather(link.run(taking(1, 2), write=True), link.run(taking(2, 1), write=True))
    assert tries == 3


async def test_a_connection_that_was_cut_while_idle_is_not_noticed(
    make: MakeLink, postgres: Postgres, postgres_url: str
) -> None:
    """The work goes over another connection."""
    link = make(postgres_url)
    await link.run(_one, write=False)
    postgres.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'ropeway'"
    )
    assert await link.run(_one, write=True) == 1


async def test_a_server_that_was_killed_is_unavailable_and_then_found_again(
    make: MakeLink, postgres: Postgres, postgres_url: str
) -> None:
    """Nobody has to open anything again."""
    link = make(postgres_url)
    await link.run(_one, write=False)
    postgres.server.kill()
    try:
        with pytest.raises(BackendUnavailable, match=r"cannot be reached"):
            await link.run(_one, write=True)
    finally:
        postgres.start()
    assert await link.run(_one, write=True) == 1


async def test_a_cut_at_the_commit_is_indeterminate(
    make: MakeLink, postgres: Postgres, postgres_url: str, proxy: Proxy
) -> None:
    """It was committed, and nobody said so: the caller repeats it unchanged."""
    link, database = (
        make(proxy.url(postgres_url)),
        _table(postgres, postgres_url),
    )

    async def cut(connection: Connection) -> None:
        await _add(connection)
        proxy.cut_answers()

    with pytest.raises(Indeterminate):
        await link.run(cut, write=True)
    assert postgres.sql("select count(*) from t", database) == "1"


async def test_a_cut_before_the_commit_is_tried_again(
    make: MakeLink, postgres: Postgres, postgres_url: str, proxy: Proxy
) -> None:
    """Nothing had happened: the caller hears nothing of it."""
    link, database = (
        make(proxy.url(postgres_url)),
        _table(postgres, postgres_url),
    )
    tries = 0

    async def cut(connection: Connection) -> Any:
        nonlocal tries
        tries += 1
        if tries == 1:
            proxy.cut()
        return await _add(connection)

    assert await link.run(cut, write=True) == 1
    assert tries == 2
    assert postgres.sql("select count(*) from t", database) == "1"


@pytest.mark.parametrize("write", [False, True])
async def test_what_is_swallowed_ends_at_the_deadline(
    make: MakeLink, postgres_url: str, proxy: Proxy, write: bool
) -> None:
    """A connection that is half open is thrown away, and the next one works."""
    link = make(proxy.url(postgres_url))
    await link.run(_one, write=False)
    proxy.swallow()
    with pytest.raises(BackendUnavailable, match="did not answer within 2 s"):
        await link.run(_one, write=write)
    with pytest.raises(BackendUnavailable, match="does not answer"):
        await link.run(_one, write=write)
    proxy.pass_on()
    assert await link.run(_one, write=write) == 1


async def test_a_commit_that_is_swallowed_is_indeterminate(
    make: MakeLink, postgres_url: str, proxy: Proxy
) -> None:
    """At the deadline, for nobody knows what the server did."""
    link = make(proxy.url(postgres_url))

    async def swallow(connection: Connection) -> None:
        await _one(connection)
        proxy.swallow()

    with pytest.raises(Indeterminate, match="did not answer within 2 s"):
        await link.run(swallow, write=True)


async def test_a_dead_connection_is_found_out_long_before_the_deadline(
    make: MakeLink, postgres: Postgres, postgres_url: str, proxy: Proxy
) -> None:
    """The server is asked whether it works for it; what was not committed is tried again."""
    database = _table(postgres, postgres_url)
    link = make(proxy.url(postgres_url), deadline=600.0)
    tries = 0

    async def deaf(connection: Connection) -> Any:
        nonlocal tries
        tries += 1
        if tries == 1:
            proxy.swallow()
            proxy.forget()
        return await _add(connection)

    async with asyncio.timeout(30):
        assert await link.run(deaf, write=True) == 1
    assert tries == 2
    assert postgres.sql("select count(*) from t", database) == "1"


async def test_a_dead_connection_at_the_commit_is_indeterminate(
    make: MakeLink, postgres_url: str, proxy: Proxy
) -> None:
    """It is found out as soon."""
    link = make(proxy.url(postgres_url), deadline=600.0)

    async def deaf(connection: Connection) -> None:
        await _one(connection)
        proxy.swallow()
        proxy.forget()

    async with asyncio.timeout(30):
        with pytest.raises(Indeterminate):
            await link.run(deaf, write=True)
        assert await link.run(_one, write=False) == 1


async def test_what_is_slow_is_not_dead(make: MakeLink, postgres_url: str) -> None:
    """The server works for it, so its answer is waited for."""
    link = make(postgres_url, deadline=600.0)
    tries = 0

    async def slow(connection: Connection) -> Any:
        nonlocal tries
        tries += 1
        await connection.execute("select pg_sleep(4)")
        return await _one(connection)

    assert await link.run(slow, write=True) == 1
    assert tries == 1


async def test_who_is_cancelled_leaves_no_harm(
    make: MakeLink, postgres_url: str, aeventually: AsyncEventually
) -> None:
    """The connection that was in the middle of a statement is not used again."""
    link = make(postgres_url)

    async def slow(connection: Connection) -> None:
        await connection.execute("select pg_sleep(60)")

    asked = asyncio.create_task(link.run(slow, write=True))
    await aeventually(lambda: link._pool._lent)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    for _ in range(8):
        assert await link.run(_one, write=True) == 1


async def test_more_than_the_pool_holds_wait_their_turn(make: MakeLink, postgres_url: str) -> None:
    """And those that wait too long hear of it."""
    link = make(postgres_url, 10.0)
    assert await asyncio.gather(*(link.run(_one, write=True) for _ in range(50))) == [1] * 50
    short = make(postgres_url, 2.0)
    await asyncio.gather(*(short.run(_one, write=True) for _ in range(8)))  # all are connected

    async def slow(connection: Connection) -> None:
        await connection.execute("select pg_sleep(1.2)")

    told = await asyncio.gather(
        *(short.run(slow, write=False) for _ in range(12)), return_exceptions=True
    )
    assert told[:4] == [None] * 4
    assert all(isinstance(each, BackendUnavailable) for each in told[8:])


async def test_hints_come_at_once(make: MakeLink, postgres_url: str) -> None:
    """Also under names that a payload cannot hold as they are, and to all who wait."""
    here, there = make(postgres_url), make(postgres_url)
    names = ["plain", "long" * 100, "two\nlines", "späť", "#abc"]
    assert await here.wait(names, 30.0) == names
    assert await here.wait(["plain", "plain"], 0.01) == []
    waiting = [asyncio.create_task(here.wait([name], 0.9 * POLL)) for name in names * 2]
    await asyncio.sleep(0)
    await there.notify(names)
    assert await asyncio.gather(*waiting) == [[name] for name in names * 2]


async def test_a_lost_listener_listens_again(
    make: MakeLink, postgres: Postgres, postgres_url: str, aeventually: AsyncEventually
) -> None:
    """And whoever waits hears of what happened meanwhile."""
    here, there = make(postgres_url), make(postgres_url)
    await here.wait(["a"], 1.0)
    postgres.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where query like 'LISTEN%'"
    )
    waiting = asyncio.create_task(here.wait(["a"], 30.0))
    assert await waiting == ["a"]

    await aeventually(lambda: here._listener._session is not None)
    await here.wait(["a"], 0)
    waiting = asyncio.create_task(here.wait(["a"], 0.9 * POLL))
    await asyncio.sleep(0)
    await there.notify(["a"])
    assert await waiting == ["a"]


async def test_a_link_that_was_closed_can_be_used_again(make: MakeLink, postgres_url: str) -> None:
    """For work and for hints."""
    here, there = make(postgres_url), make(postgres_url)
    for _ in range(2):
        assert await here.run(_one, write=True) == 1
        await here.wait(["a"], 0)
        waiting = asyncio.create_task(here.wait(["a"], 0.9 * POLL))
        await asyncio.sleep(0)
        await there.notify(["a"])
        assert await waiting == ["a"]
        await here.close()


async def test_an_odd_failure_does_not_end_the_listening(
    make: MakeLink, postgres_url: str, monkeypatch: pytest.MonkeyPatch, aeventually: AsyncEventually
) -> None:
    """Whatever opening raises, it is tried again."""
    here = make(postgres_url)
    opened = here.opener.open

    async def odd() -> Session:
        monkeypatch.setattr(here.opener, "open", opened)
        raise RuntimeError("odd")

    monkeypatch.setattr(here.opener, "open", odd)
    await here.wait(["a"], 0)
    await aeventually(lambda: here._listener._session is not None)
