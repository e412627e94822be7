"""A schema for each test, in a database for all, on a server whose clock can be put forward."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from ropeway.backends.postgres import Address, Link
from ropeway.backends.postgres.backend import PostgresBackend
from ropeway.backends.postgres.hints import Telling
from ropeway.backends.postgres.sessions import Connection
from ropeway.store import Backend
from tests.servers.postgres import Postgres

Make = Callable[[], Backend]

_SHIFTED = """
create table shift (seconds float8 not null);
insert into shift values (0);
create or replace function clock() returns float8 language sql volatile parallel safe
as $$ select extract(epoch from clock_timestamp())::float8 + (select seconds from shift) $$;
"""


class ShiftedHarness:
    """A harness on a server whose clock a test puts forward."""

    unit = 60.0
    backend: Backend

    def __init__(self, make: Make, side: Connection) -> None:
        self._make, self._side = make, side
        self._opened: list[Backend] = []

    async def advance(self, seconds: float) -> None:
        await self._side.execute("update shift set seconds = seconds + $1", seconds)

    async def second(self) -> Backend:
        backend = self._make()
        await backend.open()
        self._opened.append(backend)
        return backend

    def mute_hints(self) -> None:
        for backend in self._opened:
            assert isinstance(backend, PostgresBackend)
            backend.link.notify = _tell_nobody  # type: ignore[method-assign]
            backend.link.telling = _nothing_to_tell  # type: ignore[method-assign]

    async def close(self) -> None:
        for backend in reversed(self._opened):
            await backend.close()


async def _tell_nobody(names: object) -> None:
    """Lose what others would hear."""


def _nothing_to_tell(names: object) -> Telling:
    """Have a statement that tells by itself tell nothing, and nobody in this process hear of it."""
    return Telling(set(), "nobody", [])


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    """Return the URL of a database in which each test has a schema of its own."""
    return postgres.create(f"conformance_{uuid.uuid4().hex}")


@pytest.fixture
async def side(database: str) -> AsyncIterator[Connection]:
    """Return a connection of the test's own, in a schema that is there for this test alone."""
    schema = f"test_{uuid.uuid4().hex}"
    side = await asyncpg.connect(database, server_settings={"search_path": schema})
    yield side
    await side.execute(f"drop schema if exists {schema} cascade")
    await side.close()


@pytest.fixture
async def schema_url(database: str, side: Connection) -> str:
    """Return the URL of a schema that opening makes."""
    schema = await side.fetchval("show search_path")
    return f"{database}?schema={schema}"


@pytest.fixture
def make(schema_url: str) -> Make:
    """Say how a backend is made; each is as another process would have it."""
    return lambda: PostgresBackend(Link(Address.of(schema_url)))


@pytest.fixture
async def harness(make: Make, side: Connection) -> AsyncIterator[ShiftedHarness]:
    """Make an empty backend, with a hold on the server's clock."""
    harness = ShiftedHarness(make, side)
    harness.backend = await harness.second()
    await side.execute(_SHIFTED)
    yield harness
    await harness.close()
