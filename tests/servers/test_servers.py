"""The servers that tests use are real, and outlive what is done to them."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from tests.servers.postgres import Postgres
from tests.servers.process import HOST, listens
from tests.servers.valkey import Valkey


def test_postgres_keeps_what_it_was_told_through_a_kill(postgres: Postgres, tmp_path: Path) -> None:
    """And each test gets a database of its own."""
    database = "kept"
    postgres.create(database)
    postgres.sql("create table t (n int); insert into t values (7)", database)
    postgres.server.kill()
    assert not listens(postgres.port)
    postgres.start()
    assert postgres.sql("select n from t", database) == "7"


def test_postgres_databases_are_apart(postgres: Postgres, postgres_url: str) -> None:
    """What one has made, another does not see."""
    assert postgres_url.rpartition("/")[2] in postgres.sql("select datname from pg_database")


def test_valkey_keeps_what_it_was_told_through_a_kill(valkey: Valkey) -> None:
    """Its log is flushed at every write."""
    assert _ask(valkey, "SET k v") == "+OK"
    valkey.server.signal(signal.SIGKILL)
    valkey.server.kill()
    valkey.start()
    assert _ask(valkey, "GET k") == "v"


def _ask(valkey: Valkey, command: str) -> str:
    with socket.create_connection((HOST, valkey.port), 5) as connection:
        connection.sendall(command.encode() + b"\r\n")
        return connection.recv(1024).decode().split("\r\n")[-2]
