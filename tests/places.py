"""Where an app of a test keeps its jobs: a file, or a server that the run of the tests started."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from tests.servers.postgres import Postgres
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.valkey import Valkey

KINDS = ("sqlite", "redis", "postgres")


def url_of(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty place for jobs; a server is started when first asked for."""
    if kind == "redis":
        server: Valkey = request.getfixturevalue("valkey")
        return f"{server.url}?namespace=t{uuid.uuid4().hex}"
    if kind == "postgres":
        database: Postgres = request.getfixturevalue("postgres")
        return f"{database.url('postgres')}?schema=t{uuid.uuid4().hex}"
    return f"sqlite:///{folder / 'jobs.db'}"


def chosen(folder: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the settings that say where the tests of apps and workers keep their jobs.

    ROPEWAY_TEST_URL is a URL, in which `{test}` becomes a name that no other test has, or one of
    `KINDS`; by default it is a file. With ROPEWAY_TEST_BROKER=rabbitmq messages travel through it.
    """
    told = os.environ.get("ROPEWAY_TEST_URL", "sqlite")
    url = told.format(folder=folder, test=f"t{uuid.uuid4().hex}")
    found = {"url": url_of(told, folder, request) if told in KINDS else url}
    if os.environ.get("ROPEWAY_TEST_BROKER") == "rabbitmq":
        node: RabbitMQ = request.getfixturevalue("rabbitmq")
        found["broker"] = node.fresh()
    return found
