"""Connections that belong to the caller: one statement is run on each, in its own transaction.

No client library is imported here: what a connection is tells where its class comes from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from ropeway.errors import BackendUnavailable, BadArguments

_KNOWN = "a connection of asyncpg, psycopg, SQLAlchemy or Django"
_MISSING = ("3F000", "42883", "42P01", "42501")
"""What a server says where the schema, its function or the right to use it is missing."""


class Way(Struct, frozen=True):
    """How a statement with one text is run: `run(sql, text)`, to be awaited if `asynchronous`."""

    asynchronous: bool
    placeholder: str
    run: Callable[[str, str], Any]


def way_of(connection: Any) -> Way:
    """Tell how a statement is run on a connection; raises `BadArguments`."""
    classes = type(connection).__mro__
    roots = [each.__module__.partition(".")[0] for each in classes]
    for root, way in _WAYS.items():
        if root in roots and (found := way(connection, classes)) is not None:
            return found
    raise BadArguments(
        f"connection={type(connection).__name__!r} cannot take part in a send",
        hint=f"give {_KNOWN}",
    )


def checked(connection: Any) -> Any:
    """Return the connection, or raise `BadArguments`."""
    way_of(connection)
    return connection


def _asyncpg(connection: Any, classes: tuple[type, ...]) -> Way | None:
    if not callable(getattr(connection, "is_in_transaction", None)):
        return None  # a pool has none
    return Way(asynchronous=True, placeholder="$1", run=connection.execute)


def _psycopg(connection: Any, classes: tuple[type, ...]) -> Way | None:
    names = {each.__name__ for each in classes}
    if not names & {"Connection", "AsyncConnection"}:
        return None

    def run(sql: str, text: str) -> Any:
        return connection.execute(sql, (text,))

    return Way(asynchronous="AsyncConnection" in names, placeholder="%s", run=run)


def _sqlalchemy(connection: Any, classes: tuple[type, ...]) -> Way | None:
    asynchronous = any(each.__module__.startswith("sqlalchemy.ext.asyncio") for each in classes)
    if hasattr(connection, "exec_driver_sql"):
        return Way(
            asynchronous=asynchronous,
            placeholder=_placeholder(connection),
            run=lambda sql, text: connection.exec_driver_sql(sql, (text,)),
        )
    if not (hasattr(connection, "get_bind") and hasattr(connection, "connection")):
        return None  # an engine, say

    async def arun(sql: str, text: str) -> None:
        await (await connection.connection()).exec_driver_sql(sql, (text,))

    def run(sql: str, text: str) -> None:
        connection.connection().exec_driver_sql(sql, (text,))

    placeholder = _placeholder(connection.get_bind())
    return Way(asynchronous, placeholder, arun if asynchronous else run)


def _placeholder(bound: Any) -> str:
    if bound.dialect.name != "postgresql":
        raise BadArguments(
            f"connection leads to {bound.dialect.name}", hint="give one to the url's PostgreSQL"
        )
    return "$1" if bound.dialect.paramstyle == "numeric_dollar" else "%s"


def _django(connection: Any, classes: tuple[type, ...]) -> Way | None:
    if not hasattr(connection, "vendor"):
        return None
    if connection.vendor != "postgresql":
        raise BadArguments(
            f"connection leads to {connection.vendor}", hint="give one to the url's PostgreSQL"
        )

    def run(sql: str, text: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql, [text])

    return Way(asynchronous=False, placeholder="%s", run=run)


_WAYS: dict[str, Callable[[Any, tuple[type, ...]], Way | None]] = {
    "asyncpg": _asyncpg,
    "psycopg": _psycopg,
    "sqlalchemy": _sqlalchemy,
    "django": _django,
}


async def execute(connection: Any, function: str, text: str, *, stepping: bool) -> None:
    """Call a function of the server with a text, in the transaction of the connection.

    Raises `BadArguments` if the connection's colour is not the caller's, `BackendUnavailable` if
    the function is not there, and else what the client library raises.
    """
    way = way_of(connection)
    if way.asynchronous == stepping:
        write = (
            "await ...asend(...), or ...apublish(...)" if stepping else "send(...), or publish(...)"
        )
        kind = "an asynchronous" if way.asynchronous else "a synchronous"
        raise BadArguments(f"connection is {kind} one", hint=f"write {write}")
    try:
        done = way.run(f"select {function}({way.placeholder})", text)
        if isinstance(done, Awaitable):
            await done
    except Exception as error:
        if _state(error) in _MISSING:
            raise BackendUnavailable(
                f"the database of that connection does not know {function}",
                hint="is it the database of the url? and its tables: ropeway db migrate",
            ) from error
        raise


def _state(error: BaseException) -> str | None:
    """The code of a server's error, which some client libraries wrap."""
    for each in (error, getattr(error, "orig", None), error.__cause__):
        for name in ("sqlstate", "pgcode"):
            if isinstance(found := getattr(each, name, None), str):
                return found
    orig = getattr(error, "orig", None)
    return _state(orig) if isinstance(orig, BaseException) and orig is not error else None
