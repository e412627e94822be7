"""From an older schema to this one, at opening, while other processes have the file open.

A step only adds: the code of one version before goes on working on the same file, so that a fleet
is upgraded one process at a time. What a step makes useless is dropped by a later one. Each step
says which version of the schema a process must know at least to go on; the file remembers it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import apsw
from msgspec import Struct

from ropeway.backends.sqlite import statements
from ropeway.errors import BackendUnavailable

Execute = Callable[..., Any]
_FOLDER = resources.files(__package__) / "migrations"


class Step(Struct, frozen=True):
    """One step to schema `version`, after which code that knows schema `needs` still works."""

    version: int
    needs: int
    sql: str


def _step(version: int, needs: int) -> Step:
    return Step(version, needs, (_FOLDER / f"{version}.sql").read_text(encoding="utf-8"))


STEPS: Sequence[Step] = (_step(2, needs=2), _step(3, needs=3), _step(4, needs=3), _step(5, needs=5))


def known() -> int:
    """The newest schema that this code knows."""
    return STEPS[-1].version


def prepare(connection: apsw.Connection) -> None:
    """Make the tables of a new file, or bring an older one up to date.

    All of it is one transaction. Raises `BackendUnavailable` if the file is another program's,
    or needs a newer ropeway.
    """
    execute = connection.cursor().execute
    if _version(execute) == 0 and not _is_foreign(execute):
        execute("pragma journal_mode = wal").fetchall()
    if _version(execute) < known():
        execute("begin immediate")
        try:
            _upgrade(execute)
        except BaseException:
            execute("rollback")
            raise
        execute("commit")
    check_needs(execute)


def _upgrade(execute: Execute) -> None:
    # Looked at again inside the transaction: another process may have done it meanwhile.
    version = _version(execute)
    if version == 0:
        if _is_foreign(execute):
            raise BackendUnavailable(
                "the database belongs to another program: it has tables that are not ropeway's",
                hint="name a file of its own in the url",
            )
        execute(statements.SCHEMA)
    for step in STEPS:
        if version and step.version > version:
            execute(step.sql)
    if version < known():
        execute(statements.SET_META, ("needs", str(STEPS[-1].needs)))
        execute(f"pragma user_version = {known()}")


def check_needs(execute: Execute) -> None:
    """Raise `BackendUnavailable` if the file needs a newer ropeway."""
    version = _version(execute)
    needs = execute(statements.GET_META, ("needs",)).get if version > known() else "0"
    if int(needs or version) > known():
        raise BackendUnavailable(
            f"the database has schema {version}, which needs a newer ropeway than this "
            f"(it knows schema {known()})",
            hint="install the newer ropeway here, or use another database",
        )


def _version(execute: Execute) -> int:
    return int(execute("pragma user_version").get)


def _is_foreign(execute: Execute) -> bool:
    return bool(execute("select count(*) from sqlite_schema").get)
