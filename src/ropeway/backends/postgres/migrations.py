"""The schema: made when there is none, and brought up to date when somebody asks for it.

A step only adds: the code of one version before goes on working on the same tables, so that a fleet
is upgraded one process at a time. Each step says which version of the schema a process must know
at least to go on, and the database remembers it. No process migrates by itself what others use:
that may take long, and a person chooses the hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

from msgspec import Struct

from ropeway.backends.postgres.sessions import Connection
from ropeway.errors import BackendUnavailable

_FOLDER = resources.files(__package__)
_LOCK = -1
"""The advisory lock of who migrates, beside those that commits take: see locks.py."""

_META = "create table meta (key text primary key, value text not null)"
_HAS_META = (
    "select exists (select from pg_class where relname = 'meta' and relnamespace ="
    " (select oid from pg_namespace where nspname = $1))"
)
_SET = (
    "insert into meta (key, value) values ($1, $2)"
    " on conflict (key) do update set value = excluded.value"
)


class Step(Struct, frozen=True):
    """One step to schema `version`, after which code that knows schema `needs` still works."""

    version: int
    needs: int
    files: tuple[str, ...]

    @property
    def sql(self) -> str:
        """Its statements; the search path names the schema that they work in."""
        return "\n".join((_FOLDER / file).read_text(encoding="utf-8") for file in self.files)


STEPS: Sequence[Step] = (Step(1, 1, ("schema.sql", "joint.sql", "logs.sql")),)


class Version(Struct, frozen=True):
    """Which schema a database has (0: none), and which one a process must know to use it."""

    found: int
    needs: int


def known() -> int:
    """The newest schema that this code knows."""
    return STEPS[-1].version


def pending(version: int) -> list[Step]:
    """The steps from a version to the newest."""
    return [step for step in STEPS if step.version > version]


async def version(connection: Connection, schema: str) -> Version:
    """Look which schema there is."""
    # Not by `to_regclass`: it may go by what this connection has seen before it waited for a lock.
    if not await connection.fetchval(_HAS_META, schema):
        return Version(0, 0)
    rows = await connection.fetch(f"select key, value from {schema}.meta")
    meta = {row["key"]: row["value"] for row in rows}
    found = int(meta.get("schema", 0))
    return Version(found, int(meta.get("needs", found)))


async def prepare(connection: Connection, schema: str) -> None:
    """Make the tables in a schema that is new or empty; raises `BackendUnavailable` if not usable.

    To be called within a transaction.
    """
    there = await version(connection, schema)
    if there.found == 0:
        await migrate(connection, schema)
    elif there.found < known():
        raise BackendUnavailable(
            f"the database has schema {there.found}, and this ropeway needs {known()}",
            hint="bring it up to date: ropeway db migrate",
        )
    elif there.needs > known():
        raise _too_new(there)


async def migrate(connection: Connection, schema: str) -> list[int]:
    """Bring a schema up to date; return the versions that were gone through.

    To be called within a transaction: others who try it at the same time wait for its end.
    """
    await connection.execute(
        f"select pg_advisory_xact_lock(hashtext('{schema}'), {_LOCK});"
        " set local statement_timeout = 0; set local lock_timeout = '10s'"
    )
    # Looked at behind the lock: another process may have done it meanwhile.
    there = await version(connection, schema)
    if there.needs > known():
        raise _too_new(there)
    if there.found == 0:
        await _make(connection, schema)
    done = []
    for step in pending(there.found):
        await connection.execute(step.sql)
        done.append(step.version)
    if done:
        await connection.execute(_SET, "schema", str(known()))
        await connection.execute(_SET, "needs", str(STEPS[-1].needs))
    return done


async def _make(connection: Connection, schema: str) -> None:
    encoding = await connection.fetchval("show server_encoding")
    if encoding != "UTF8":
        raise BackendUnavailable(
            f"the database holds texts as {encoding}, which cannot hold all that jobs may name",
            hint="make one that can: createdb --encoding UTF8 --template template0",
        )
    if not await connection.fetchval(
        "select exists (select from pg_namespace where nspname = $1)", schema
    ):
        await connection.execute(f"create schema {schema}")
    if await _holds(connection, schema):
        raise BackendUnavailable(
            f"the schema {schema} belongs to another program: it has tables that are not ropeway's",
            hint="name a schema of its own in the url: ?schema=ropeway",
        )
    await connection.execute(_META)


async def _holds(connection: Connection, schema: str) -> Any:
    return await connection.fetchval(
        "select exists (select from pg_class where relnamespace = to_regnamespace($1))", schema
    )


def _too_new(there: Version) -> BackendUnavailable:
    return BackendUnavailable(
        f"the database has schema {there.found}, which needs a newer ropeway than this "
        f"(it knows schema {known()})",
        hint="install the newer ropeway here, or use another schema: ?schema=...",
    )


def script(schema: str, after: int = 0) -> str:
    """Write what `migrate` would do as a text for `psql`, for those who run such things by hand."""
    lines = ["begin;"]
    if after == 0:
        lines += [f"create schema if not exists {schema};"]
    lines += [f"set local search_path = {schema};"]
    if after == 0:
        lines += [f"{_META};"]
    lines += [step.sql for step in pending(after)]
    for key, value in (("schema", known()), ("needs", STEPS[-1].needs)):
        lines += [_SET.replace("$1", f"'{key}'").replace("$2", f"'{value}'") + ";"]
    return "\n".join([*lines, "commit;", ""])
