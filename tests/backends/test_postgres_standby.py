"""A primary and its standby: the one that can write is worked with, also after they have changed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ropeway.backends.postgres.address import Address
from ropeway.backends.postgres.link import Link
from ropeway.backends.postgres.sessions import Connection
from ropeway.errors import BackendUnavailable
from tests.conftest import AsyncEventually
from tests.servers.postgres import Postgres
from tests.servers.process import HOST


@pytest.fixture
def pair() -> Iterator[tuple[Postgres, Postgres]]:
    """Return a primary and a standby that follows it."""
    with tempfile.TemporaryDirectory(prefix="ropeway-postgres-") as folder:
        os.chmod(folder, 0o711)
        primary, standby = Postgres(Path(folder) / "primary"), Postgres(Path(folder) / "standby")
        primary.start()
        (Path(folder) / "standby").mkdir()
        standby.copy(primary)
        standby.start()
        yield primary, standby
        standby.stop()
        primary.stop()


async def _write(connection: Connection) -> int:
    await connection.execute("insert into ropeway.meta values (gen_random_uuid(), 'x')")
    return int(await connection.fetchval("select inet_server_port()"))


async def test_of_several_hosts_the_one_that_can_write_is_found(
    pair: tuple[Postgres, Postgres], aeventually: AsyncEventually
) -> None:
    """Before and after a promotion, without anybody's help; a standby alone is refused."""
    primary, standby = pair
    parts = urlsplit(primary.url("postgres"))
    hosts = f"ropeway@{HOST}:{standby.port},{HOST}:{primary.port}"
    link = Link(Address.of(parts._replace(netloc=hosts).geturl()), deadline=5.0)
    alone = Link(Address.of(standby.url("postgres")), deadline=5.0, prepares=False)
    try:
        assert await link.run(_write, write=True) == primary.port
        with pytest.raises(BackendUnavailable, match="can write"):
            await alone.run(_write, write=True)
        primary.server.kill()
        with pytest.raises(BackendUnavailable):
            await link.run(_write, write=True)
        standby.sql("select pg_promote()")

        async def port() -> int:
            try:
                return await link.run(_write, write=True)
            except BackendUnavailable:
                return 0

        assert await aeventually(port) == standby.port
        assert await alone.run(_write, write=True) == standby.port
    finally:
        await alone.close()
        await link.close()
