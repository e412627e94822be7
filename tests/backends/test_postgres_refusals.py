"""What stands between a program and PostgreSQL is said in one error: what, where, and what to do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ropeway import Ropeway
from ropeway.backends.postgres import sessions
from ropeway.backends.postgres.address import Address
from ropeway.backends.postgres.link import Link
from ropeway.backends.postgres.sessions import Connection
from ropeway.errors import BackendUnavailable, Backpressure, ConfigError, RopewayError
from tests.conftest import AsyncEventually
from tests.disks import fill, small_disk
from tests.servers.postgres import Postgres
from tests.servers.process import HOST

PEM = Path(__file__).parents[1] / "servers" / "tls"


async def _tried(url: str, deadline: float = 5.0) -> RopewayError | None:
    """Open a link, and return what was in the way."""
    link = Link(Address.of(url), deadline=deadline)
    try:
        await link.open()
    except RopewayError as error:
        return error
    finally:
        await link.close()
    return None


def _as(url: str, user: str) -> str:
    """The same URL for another user."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}").geturl()


@pytest.fixture
def locked(postgres: Postgres) -> Iterator[None]:
    """Have the server ask the user `guarded` for a password."""
    postgres.sql("create role guarded login superuser password 'right'")
    rules = Path(postgres.sql("show hba_file"))
    before = rules.read_text()
    rules.write_text("host all guarded 127.0.0.1/32 scram-sha-256\n" + before)
    postgres.sql("select pg_reload_conf()")
    yield
    rules.write_text(before)
    postgres.sql("select pg_reload_conf()")
    postgres.sql("alter role guarded nologin")  # what it has made is in another database


@pytest.mark.usefixtures("locked")
async def test_a_wrong_password_is_named_and_not_shown(
    postgres_url: str, aeventually: AsyncEventually
) -> None:
    """The right one lets in; neither is in the error."""
    found = await aeventually(lambda: _tried(_as(postgres_url, "guarded:wrong")))
    assert isinstance(found, BackendUnavailable)
    assert "refuses the password" in str(found)
    assert "wrong" not in str(found)
    assert await _tried(_as(postgres_url, "guarded:right")) is None
    assert "password" in str(await _tried(_as(postgres_url, "guarded")))


async def test_a_missing_database(postgres: Postgres) -> None:
    """With the command that makes it."""
    found = await _tried(postgres.url("nowhere"))
    assert isinstance(found, BackendUnavailable)
    assert "no such database" in str(found)
    assert "createdb" in found.hint


async def test_a_user_who_may_not_make_tables(postgres: Postgres, postgres_url: str) -> None:
    """Somebody else can make them, and then the user works without that right."""
    database = postgres_url.rpartition("/")[2]
    postgres.sql("create role poor login", database)
    try:
        found = await _tried(_as(postgres_url, "poor"))
        assert isinstance(found, BackendUnavailable)
        assert "lacks a permission" in str(found)
        assert "ropeway db sql" in found.hint
        assert await _tried(postgres_url) is None
        for what in (
            "all on schema",
            "all on all tables in schema",
            "all on all sequences in schema",
        ):
            postgres.sql(f"grant {what} ropeway to poor", database)
        assert await _tried(_as(postgres_url, "poor")) is None
    finally:
        postgres.sql("drop owned by poor; drop role poor", database)


async def test_no_connection_left(postgres: Postgres, postgres_url: str) -> None:
    """The server has as many as it takes."""
    postgres.sql("create role crowded login connection limit 0")
    try:
        found = await _tried(_as(postgres_url, "crowded"))
        assert isinstance(found, BackendUnavailable)
        assert "no connection left" in str(found)
    finally:
        postgres.sql("drop role crowded")


async def test_a_server_that_only_reads(postgres: Postgres, postgres_url: str) -> None:
    """It is not worked with, whatever it would answer."""
    database = postgres_url.rpartition("/")[2]
    postgres.sql(f"alter database {database} set default_transaction_read_only = on")
    found = await _tried(postgres_url)
    assert isinstance(found, BackendUnavailable)
    assert "can write" in str(found)


async def test_a_server_that_is_too_old(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told which would do."""
    monkeypatch.setattr(sessions, "OLDEST", 99)
    found = await _tried(postgres_url)
    assert isinstance(found, BackendUnavailable)
    assert "too old" in str(found)
    assert found.hint == "use 99 or newer"


async def test_a_database_that_cannot_hold_every_text(postgres: Postgres) -> None:
    """Said at the first opening, and not at the first name with an accent."""
    postgres.sql(
        "create database narrow encoding 'LATIN1' locale 'C' template template0 locale_provider libc"
    )
    found = await _tried(postgres.url("narrow"))
    assert isinstance(found, BackendUnavailable)
    assert "LATIN1" in str(found)


async def test_nobody_is_there(postgres: Postgres) -> None:
    """Neither at that port nor under that name."""
    for url in (f"postgresql://u@{HOST}:1/x", "postgresql://u@nowhere.invalid/x"):
        found = await _tried(url)
        assert isinstance(found, BackendUnavailable)
        assert "cannot be reached" in str(found)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://h/d?schema=a;drop", "cannot be the name of a schema"),
        ("postgresql://h/d?schema=pg_x", "cannot be the name of a schema"),
        ("postgresql://h/d?schema=Jobs", "cannot be the name of a schema"),
        ("postgresql://h/d?pooler=session", "pooler='session' is not known"),
        ("postgresql://h/d?target_session_attrs=any", "only reads"),
        ("postgresql://h/d?schema", "cannot be read"),
    ],
)
def test_urls_that_cannot_be_meant(url: str, said: str) -> None:
    """Said before anything is connected."""
    with pytest.raises(ConfigError, match=said):
        Ropeway(url)


@pytest.mark.parametrize("rest", ["sslmode=perhaps", "nonsense=1"])
async def test_urls_that_client_or_server_do_not_take(postgres_url: str, rest: str) -> None:
    """Said when it is tried."""
    found = await _tried(f"{postgres_url}?{rest}")
    assert isinstance(found, ConfigError | BackendUnavailable)
    assert found.hint


async def test_a_frozen_session_ends_at_the_deadline(postgres: Postgres, postgres_url: str) -> None:
    """A process of the server that is stopped: another one answers the next."""
    link = Link(Address.of(postgres_url), deadline=2.0)

    async def pid(connection: Connection) -> int:
        return int(await connection.fetchval("select pg_backend_pid()"))

    try:
        frozen = await link.run(pid, write=True)
        os.kill(frozen, signal.SIGSTOP)
        try:
            with pytest.raises(BackendUnavailable, match="did not answer within 2 s"):
                await link.run(pid, write=True)
            assert await link.run(pid, write=True) != frozen
        finally:
            os.kill(frozen, signal.SIGCONT)
    finally:
        await link.close()


async def test_a_statement_that_takes_too_long_is_ended(postgres_url: str) -> None:
    """By the server itself, which then has nothing more to do with it."""
    link = Link(Address.of(postgres_url))

    async def slow(connection: Connection) -> None:
        await connection.execute("set local statement_timeout = '50ms'")
        await connection.execute("select pg_sleep(60)")

    try:
        with pytest.raises(BackendUnavailable, match="took too long"):
            await link.run(slow, write=True)
    finally:
        await link.close()


async def test_a_full_disk_is_back_pressure(postgres: Postgres) -> None:
    """Sends are refused while it is full, and taken again when there is room."""
    data = Path(postgres.sql("show data_directory"))
    with small_disk(data.parent / "small") as disk:
        place = disk / "space"
        _make_like(place, data)
        postgres.sql(f"create tablespace small location '{place}'")
        try:
            postgres.sql("create database tight tablespace small")
            app = Ropeway(postgres.url("tight"))
            task = app.task(name="note")(_note)
            await task.asend("x")
            filler = fill(disk)
            with pytest.raises(Backpressure, match="no room left"):
                for _ in range(200):
                    await task.asend("x" * 500_000)
            filler.unlink()
            await task.asend("x")
            await app.aclose()
        finally:
            postgres.sql("drop database if exists tight with (force)")
            postgres.sql("drop tablespace small")
    (data.parent / "small").rmdir()


def _make_like(place: Path, other: Path) -> None:
    """Make a folder that belongs to whom another one belongs to."""
    place.mkdir()
    os.chown(place, other.stat().st_uid, other.stat().st_gid)


def _note(text: str) -> None: ...


# -- TLS ------------------------------------------------------------------------------------------


class Wrapped:
    """Speaks TLS as a PostgreSQL server does, and passes on what is in it."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(PEM / "server.pem", PEM / "server.key")
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # may we speak TLS?
        writer.write(b"S")
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.start_tls(self._context)
            to_reader, to_writer = await asyncio.open_connection(HOST, self._to)
            for source, sink in ((reader, to_writer), (to_reader, writer)):
                task = asyncio.create_task(self._pass(source, sink))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
        sink.close()


@pytest.fixture
async def wrapped(postgres: Postgres) -> AsyncIterator[int]:
    """Return a port where the server speaks TLS."""
    async with Wrapped(postgres.port) as port:
        yield port


async def test_tls(postgres_url: str, wrapped: int) -> None:
    """A certificate that is signed by whom the URL names is taken, and no other."""
    parts = urlsplit(postgres_url)
    url = parts._replace(netloc=f"ropeway@{HOST}:{wrapped}").geturl()
    assert await _tried(f"{url}?sslmode=verify-full&sslrootcert={PEM / 'ca.pem'}") is None
    assert await _tried(f"{url}?sslmode=require") is None
    found = await _tried(f"{url}?sslmode=verify-full&sslrootcert={PEM / 'client.pem'}")
    assert isinstance(found, BackendUnavailable)
    assert "encrypted connection fails" in str(found)
    plain = await _tried(f"{postgres_url}?sslmode=require")
    assert isinstance(plain, BackendUnavailable)
    assert "SSL" in str(plain)
