"""A transaction for a task: what it writes, and the end of its job, are committed together.

The connection is the task's own, as its database gives it: the settings that ropeway's statements
need hold from the settle on, which is the last thing that is done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import asyncpg

from ropeway.backends.postgres.address import Address
from ropeway.backends.postgres.apply import apply
from ropeway.backends.postgres.failures import gone, translated
from ropeway.backends.postgres.hints import payloads, token
from ropeway.backends.postgres.load import load
from ropeway.backends.postgres.locks import MoreLocks
from ropeway.backends.postgres.model import Model, Names
from ropeway.backends.postgres.sessions import CONNECT, Connection, Opener
from ropeway.backends.postgres.write import write
from ropeway.errors import BackendMissing, Indeterminate
from ropeway.transition import Answer, Transition

if TYPE_CHECKING:
    import psycopg

_NOTIFY = "select pg_notify($1, payload) from unnest($2::text[]) as payload"


class OnLoop:
    """For a coroutine function: the task gets a connection of asyncpg."""

    def __init__(self, url: str) -> None:
        self._opener = Opener(Address.of(url))
        self._connection: Connection | None = None

    async def begin(self) -> Any:
        address = self._opener.address
        try:
            # Nothing is prepared: hardly any statement comes twice, and a pooler would mind.
            self._connection = await self._opener.connect(prepares=False)
            await self._connection.execute("begin")
        except Exception as error:
            raise translated(error, address, unknown=False) from error
        return self._connection

    async def commit(self, transition: Transition) -> Answer:
        connection = self._connection
        assert connection is not None
        try:
            await connection.execute(self._opener.within())
            answer = await _settle(connection, transition, self._opener.address.schema)
            if answer.ok:
                await _commit(connection.execute("commit"), self._opener.address)
            return answer
        finally:
            await self.rollback()

    async def rollback(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


class InThread:
    """For a plain function: the task gets a connection of psycopg. Its coroutines never suspend."""

    def __init__(self, url: str) -> None:
        self._opener = Opener(Address.of(url))
        self._connection: psycopg.Connection[Any] | None = None

    async def begin(self) -> Any:
        try:
            import psycopg
        except ModuleNotFoundError as error:
            raise BackendMissing(
                "current.transaction() in a plain function needs the package psycopg",
                hint="pip install 'psycopg[binary]', or make the task a coroutine function",
            ) from error
        address = self._opener.address
        try:
            self._connection = psycopg.connect(
                address.dsn,
                connect_timeout=int(CONNECT),
                target_session_attrs=address.target,
                application_name=address.application_name,
                prepare_threshold=None,
            )
        except psycopg.Error as error:
            raise translated(_unwrapped(error), address, unknown=False) from error
        return self._connection

    async def commit(self, transition: Transition) -> Answer:
        connection = self._connection
        assert connection is not None
        try:
            connection.execute(self._opener.within().encode())
            adapted = cast("Connection", _Adapted(connection))
            answer = await _settle(adapted, transition, self._opener.address.schema)
            if answer.ok:
                await _commit(_committed(connection), self._opener.address)
            return answer
        finally:
            await self.rollback()

    async def rollback(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Adapted:
    """The few verbs of asyncpg that the statements of this backend need, on psycopg."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *arguments: Any) -> Sequence[Sequence[Any]]:
        import psycopg

        cursor: psycopg.RawCursor[Any] = psycopg.RawCursor(self._connection)
        with cursor:
            cursor.execute(sql.encode(), arguments)
            return cursor.fetchall() if cursor.description else []

    async def fetchval(self, sql: str, *arguments: Any) -> Any:
        return (await self.fetch(sql, *arguments))[0][0]

    async def execute(self, sql: str, *arguments: Any) -> None:
        await self.fetch(sql, *arguments)


async def _settle(connection: Connection, transition: Transition, schema: str) -> Answer:
    held = Names([transition]).locks()
    while True:
        try:
            model = await load(connection, [transition], Names([transition]), held)
        except MoreLocks as more:
            held = more.numbers
        else:
            break
    answer = apply(model, transition)
    if answer.ok:
        await write(connection, model)
        await _tell(connection, model, schema)
    return answer


async def _tell(connection: Connection, model: Model, schema: str) -> None:
    # Within the transaction, which ends with the next word: it is heard of at the commit.
    hints = [*payloads({token(name): None for name in model.changed})]
    await connection.execute(_NOTIFY, schema, hints)


async def _committed(connection: psycopg.Connection[Any]) -> None:
    connection.commit()


async def _commit(committing: Any, address: Address) -> None:
    try:
        await committing
    except Exception as error:
        if gone(error) or gone(_unwrapped(error)):
            raise Indeterminate(
                f"the connection to {address} broke while a task's transaction was committed"
            ) from error
        raise


def _unwrapped(error: Exception) -> Exception:
    """An error of psycopg as what asyncpg would raise, as far as its kind goes."""
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        made = asyncpg.PostgresError.new({"C": state, "M": str(error)})
        return cast("Exception", made)
    with contextlib.suppress(ImportError):
        import psycopg

        if isinstance(error, psycopg.OperationalError):
            return ConnectionError(str(error))
    return error
