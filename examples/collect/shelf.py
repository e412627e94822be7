"""The database of the example: of each thing what was collected last, and when."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

_TABLES = """
create table if not exists latest (thing text primary key, instant text, value text);
"""


@contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    """Open the file that COLLECT_SHELF names, in one transaction."""
    path = os.environ.get("COLLECT_SHELF", "shelf.db")
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        connection.executescript(_TABLES)
        yield connection


def put(thing: str, instant: str, value: Any) -> bool:
    """Keep what was collected for an instant, unless something newer is there; tells whether it did.

    A task may run twice, and late: neither may take the place of what is newer.
    """
    with opened() as connection:
        done = connection.execute(
            "insert into latest values (?, ?, ?) on conflict (thing) do update"
            " set instant = excluded.instant, value = excluded.value"
            " where excluded.instant >= latest.instant",
            (thing, instant, json.dumps(value)),
        )
        return done.rowcount == 1


def get(thing: str) -> tuple[str, Any]:
    """Return for which instant something was collected last, and what."""
    with opened() as connection:
        query = "select instant, value from latest where thing = ?"
        row = connection.execute(query, (thing,)).fetchone()
    return ("", None) if row is None else (row[0], json.loads(row[1]))
