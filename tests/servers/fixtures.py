"""The fixtures: one server of each kind for a whole run of the tests, started when first asked for."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.servers.postgres import Postgres
from tests.servers.process import Missing
from tests.servers.valkey import Valkey

T = TypeVar("T")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Return a running PostgreSQL server."""
    server = _had(lambda: Postgres(_open_folder(tmp_path_factory, "postgres")))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """Return the URL of an empty database."""
    return postgres.create(f"test_{next(_numbers)}")


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """Return a running Valkey server."""
    server = _had(lambda: Valkey(tmp_path_factory.mktemp("valkey")))
    server.start()
    yield server
    server.stop()


def _had(make: Callable[[], T]) -> T:
    try:
        return make()
    except Missing as missing:
        pytest.skip(str(missing))


def _open_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """A folder that another user may enter, as that of a server that refuses root must be."""
    folder = factory.mktemp(name)
    for each in (folder, *folder.parents):
        if each == Path(os.sep) or each.stat().st_mode & 0o001:
            break
        each.chmod(each.stat().st_mode | 0o011)
    return folder
