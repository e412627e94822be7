"""Sends in a transaction of the caller's: with it or not at all, over every client library."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import asyncpg
import django  # type: ignore[import-untyped]  # it brings no types
import psycopg
import pytest
import sqlalchemy
from django.conf import settings as django_settings  # type: ignore[import-untyped]
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from ropeway import Ropeway
from ropeway.errors import BackendUnavailable, BadArguments, MessageTooLarge, Unsupported
from ropeway.store import queue_name
from tests.servers.postgres import Postgres

Count = Callable[[], int]


@pytest.fixture
def app(postgres_url: str) -> Ropeway:
    """Return an app with a table of the user's beside it."""
    app = Ropeway(postgres_url)
    app.task(name="note")(note)
    app.tasks["note"].send(0)
    app.topic("noted", int)
    app.topics.declare()
    return app


def note(n: int) -> int:
    return n


@pytest.fixture
def sent(app: Ropeway, postgres: Postgres, postgres_url: str) -> Count:
    """Return what counts the user's rows, the messages and the events, which must be as many."""
    database = postgres_url.rpartition("/")[2]
    postgres.sql("create table mine (n int)", database)

    def count() -> int:
        rows, jobs, events = postgres.sql(
            "select (select count(*) from mine) || ' ' || (select count(*) - 1 from ropeway.job)"
            " || ' ' || (select count(*) from ropeway.arrival)",
            database,
        ).split()
        assert rows == jobs == events
        return int(rows)

    return count


def _send(app: Ropeway, connection: Any) -> None:
    app.tasks["note"].using(connection=connection).send(1)
    event = app.topics.declared["noted"].using(connection=connection).publish(1)
    assert event.offset == 0


async def _asend(app: Ropeway, connection: Any) -> None:
    await app.tasks["note"].using(connection=connection).asend(1)
    await app.topics.declared["noted"].using(connection=connection).apublish(1)


_MINE = "insert into mine values (1)"


class Rollback(Exception):
    """What the caller's code may raise."""


def _both(doing: Callable[[bool], Any], sent: Count) -> None:
    """Do it twice: rolled back, and committed."""
    with contextlib.suppress(Rollback):
        doing(True)
    assert sent() == 0
    doing(False)
    assert sent() == 1


async def _aboth(doing: Callable[[bool], Any], sent: Count) -> None:
    with contextlib.suppress(Rollback):
        await doing(True)
    assert sent() == 0
    await doing(False)
    assert sent() == 1


async def test_asyncpg(app: Ropeway, sent: Count, postgres_url: str) -> None:
    """Within `async with connection.transaction()`, also of one out of a pool."""
    async with asyncpg.create_pool(postgres_url, min_size=1) as pool:

        async def doing(fails: bool) -> None:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(_MINE)
                await _asend(app, connection)
                if fails:
                    raise Rollback

        await _aboth(doing, sent)


def test_psycopg(app: Ropeway, sent: Count, postgres_url: str) -> None:
    """Within `with connection.transaction()`, and up to `connection.commit()`."""
    with psycopg.connect(postgres_url) as connection:

        def doing(fails: bool) -> None:
            connection.execute(_MINE)
            _send(app, connection)
            connection.rollback() if fails else connection.commit()

        _both(doing, sent)


async def test_psycopg_async(app: Ropeway, sent: Count, postgres_url: str) -> None:
    """The same with its other colour."""
    async with await psycopg.AsyncConnection.connect(postgres_url) as connection:

        async def doing(fails: bool) -> None:
            await connection.execute(_MINE)
            await _asend(app, connection)
            await (connection.rollback() if fails else connection.commit())

        await _aboth(doing, sent)


@pytest.fixture
def engine(postgres_url: str) -> Iterator[sqlalchemy.Engine]:
    """Return an engine of SQLAlchemy."""
    engine = sqlalchemy.create_engine(postgres_url.replace("postgresql", "postgresql+psycopg"))
    yield engine
    engine.dispose()


def test_sqlalchemy_connection(app: Ropeway, sent: Count, engine: sqlalchemy.Engine) -> None:
    """Within `engine.begin()`."""

    def doing(fails: bool) -> None:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(_MINE))
            _send(app, connection)
            if fails:
                raise Rollback

    _both(doing, sent)


def test_sqlalchemy_session(app: Ropeway, sent: Count, engine: sqlalchemy.Engine) -> None:
    """A session of its ORM."""

    def doing(fails: bool) -> None:
        with Session(engine) as session, session.begin():
            session.execute(sqlalchemy.text(_MINE))
            _send(app, session)
            if fails:
                raise Rollback

    _both(doing, sent)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_sqlalchemy_async(app: Ropeway, sent: Count, postgres_url: str, driver: str) -> None:
    """A connection and a session of its asyncio part, on either driver."""
    engine = create_async_engine(postgres_url.replace("postgresql", f"postgresql+{driver}"))

    async def connecting(fails: bool) -> None:
        async with engine.begin() as connection:
            await connection.execute(sqlalchemy.text(_MINE))
            await _asend(app, connection)
            if fails:
                raise Rollback

    async def in_session(fails: bool) -> None:
        async with AsyncSession(engine) as session, session.begin():
            await session.execute(sqlalchemy.text(_MINE))
            await _asend(app, session)
            if fails:
                raise Rollback

    try:
        await _aboth(connecting, sent)
        with contextlib.suppress(Rollback):
            await in_session(True)
        assert sent() == 1
        await in_session(False)
        assert sent() == 2
    finally:
        await engine.dispose()


@pytest.fixture
def django_connection(postgres_url: str) -> Iterator[Any]:
    """Return Django's own connection."""
    from django.db import connections  # type: ignore[import-untyped]

    parts = psycopg.conninfo.conninfo_to_dict(postgres_url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "USER": parts["user"],
        "HOST": parts["host"],
        "PORT": parts["port"],
    }
    if not django_settings.configured:
        django_settings.configure(DATABASES={"default": database})
        django.setup()
    connections["default"].close()
    connections["default"].settings_dict.update(database)
    yield connections["default"]
    connections["default"].close()


def test_django(app: Ropeway, sent: Count, django_connection: Any) -> None:
    """Within `transaction.atomic()`; `django.db.connection` does as well."""
    from django.db import connection, transaction

    def doing(fails: bool) -> None:
        with transaction.atomic():
            with django_connection.cursor() as cursor:
                cursor.execute(_MINE)
            _send(app, connection)
            if fails:
                raise Rollback

    _both(doing, sent)


# -- what is sent ---------------------------------------------------------------------------------


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[Any]:
    """Return a connection of asyncpg."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def test_it_is_the_same_message_as_any_other(app: Ropeway, connection: Any) -> None:
    """With everything that says how it is sent; and a worker runs it."""
    app.limits.declare({"api": 5})
    sender = app.tasks["note"].using(
        queue="späte 'post'",
        priority=7,
        limits=["api"],
        expires="5m",
        retries=9,
        headers={"a": "b\\n%s $1"},
        tags=["x"],
    )
    plain, joint = sender.send(2**70), await sender.using(connection=connection).asend(2**70)
    first, second = await plain.arecord(), await joint.arecord()
    ours = {name: getattr(second.message, name) for name in second.message.__struct_fields__}
    theirs = {name: getattr(first.message, name) for name in first.message.__struct_fields__}
    assert {**ours, "id": ""} == {**theirs, "id": ""}
    assert second.due == pytest.approx(first.due, abs=5)
    async with app.worker(queues=["späte 'post'"]):
        assert await joint.aresult(timeout=20) == 2**70
    await app.aclose()


async def test_delays_and_dates_hold(app: Ropeway, connection: Any) -> None:
    """A delay counts from the send."""
    job = await app.tasks["note"].using(connection=connection, delay=60).asend(1)
    record = await job.arecord()
    assert record.due == pytest.approx(record.enqueued + 60, abs=1)
    await app.aclose()


async def test_who_waits_hears_of_it_at_the_commit(app: Ropeway, connection: Any) -> None:
    """Not before, and not only at the next look."""
    names = [queue_name("default")]
    await app.store.wait(names, 1.0)
    async with connection.transaction():
        await app.tasks["note"].using(connection=connection).asend(1)
        assert await app.store.wait(names, 0.1) == []
    assert await app.store.wait(names, 0.4) == names
    await app.aclose()


async def test_many_calls_go_in_one_transaction(app: Ropeway, connection: Any) -> None:
    """`send_many` takes calls that were made for one connection, and for one alone."""
    sender = app.tasks["note"].using(connection=connection)
    with contextlib.suppress(Rollback):
        async with connection.transaction():
            await app.asend_many(sender.call(n) for n in range(1500))
            raise Rollback
    assert await connection.fetchval("select count(*) from ropeway.job") == 1
    async with connection.transaction():
        jobs = await app.asend_many((sender.call(n) for n in range(1500)), spread="1h")
    assert len({job.id for job in jobs}) == 1500
    assert await connection.fetchval("select count(*) from ropeway.job") == 1501
    with pytest.raises(BadArguments, match="different connections"):
        await app.asend_many([sender.call(1), app.tasks["note"].call(1)])
    await app.aclose()


async def test_what_goes_around_sends_goes_around_these(app: Ropeway, connection: Any) -> None:
    """And its headers are sent."""

    @app.around_send
    def marked(calls: Any) -> Iterator[None]:
        for call in calls:
            call.headers["mark"] = "1"
        yield

    job = await app.tasks["note"].using(connection=connection).asend(1)
    assert (await job.arecord()).message.headers == {"mark": "1"}
    await app.aclose()


# -- what is refused ------------------------------------------------------------------------------


async def test_what_cannot_be_part_of_a_transaction_is_refused(
    app: Ropeway, connection: Any
) -> None:
    """Before anything is written, with the reason."""
    sender = app.tasks["note"].using(connection=connection)
    for unfit, said in ((sender.using(key="k"), "key"), (sender.using(unique=True), "unique")):
        with pytest.raises(Unsupported, match=said):
            await unfit.asend(1)
    large = Ropeway(app.settings.url, max_message=1024, max_blob=10_000_000)
    large.task(name="large")(lambda_free)
    with pytest.raises(MessageTooLarge, match="no part of your transaction"):
        await large.tasks["large"].using(connection=connection).asend("x" * 5000)
    assert await connection.fetchval("select count(*) from ropeway.job") == 1
    await app.aclose()
    await large.aclose()


def lambda_free(text: str) -> None: ...


async def test_connections_that_will_not_do(app: Ropeway, connection: Any) -> None:
    """Each is told what is wrong where it was given or used."""
    task = app.tasks["note"]
    with pytest.raises(BadArguments, match="cannot take part"):
        task.using(connection="postgresql://")
    async with asyncpg.create_pool(app.settings.url, min_size=0) as pool:
        with pytest.raises(BadArguments, match="cannot take part"):
            task.using(connection=pool)
    with pytest.raises(BadArguments, match="leads to sqlite"):
        task.using(connection=sqlalchemy.create_engine("sqlite://").connect())
    with pytest.raises(BadArguments, match="asend"):
        task.using(connection=connection).send(1)
    with psycopg.connect(app.settings.url) as plain, pytest.raises(BadArguments, match=r"send\("):
        await task.using(connection=plain).asend(1)
    await app.aclose()


async def test_another_database_is_told(app: Ropeway, connection: Any, postgres: Postgres) -> None:
    """One that has no tables of ropeway."""
    other = await asyncpg.connect(postgres.url("postgres"))
    try:
        with pytest.raises(BackendUnavailable, match="is it the database of the url"):
            await app.tasks["note"].using(connection=other).asend(1)
    finally:
        await other.close()
        await app.aclose()


def test_other_backends_cannot() -> None:
    """They say so, and what to do instead."""
    app = Ropeway("memory://")
    task = app.task(name="note")(note)
    with pytest.raises(Unsupported, match="joint"):
        task.using(connection=_Fake()).send(1)


class _Fake:
    """Looks like a connection of psycopg."""


_Fake.__module__ = "psycopg"
_Fake.__name__ = "Connection"
