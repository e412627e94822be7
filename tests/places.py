"""Where an app of a test keeps its jobs: a file, or a server that the run of the tests started."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from tests.servers.postgres import Postgres
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


def chosen_url(folder: Path) -> str:
    """Return where the tests of apps and workers keep their jobs: ROPEWAY_TEST_URL, else a file.

    `{test}` in it becomes a name that no other test has, as in `redis://host/0?namespace={test}`.
    """
    url = os.environ.get("ROPEWAY_TEST_URL", "sqlite:///{folder}/jobs.db")
    return url.format(folder=folder, test=f"t{uuid.uuid4().hex}")
