"""The database of the example: what each reaction leaves behind. Every write may be done twice."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

_TABLES = """
create table if not exists friends (a text, b text, primary key (a, b));
create table if not exists notices (friend text, photo integer, primary key (friend, photo));
create table if not exists feed (owner text, photo integer, primary key (owner, photo));
create table if not exists thumbnails (photo integer primary key, data blob);
create table if not exists mutual (a text, b text, number integer, primary key (a, b));
"""


@contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    """Open it for one step, which is done whole or not at all."""
    connection = sqlite3.connect(os.environ.get("ALBUM", "album.db"), timeout=10)
    try:
        connection.executescript(_TABLES)
        with connection:
            yield connection
    finally:
        connection.close()


def befriend(a: str, b: str) -> None:
    """Two people are friends."""
    with opened() as album:
        album.executemany("insert or ignore into friends values (?, ?)", [(a, b), (b, a)])


def friends(of: str) -> list[str]:
    """Return somebody's friends."""
    with opened() as album:
        found = album.execute("select b from friends where a = ? order by b", (of,))
        return [name for (name,) in found]


def note(statement: str, *values: object) -> None:
    """Write one row, or find it there."""
    with opened() as album:
        album.execute(statement, values)


def number(statement: str, *values: object) -> int:
    """Return what a question about a number is answered with; 0 if nothing is there."""
    with opened() as album:
        row = album.execute(statement, values).fetchone()
        return int(row[0]) if row else 0
