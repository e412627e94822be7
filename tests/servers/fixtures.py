"""The fixtures: one server of each kind for a whole run of the tests, started when first asked for."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from ropeway.backends.redis.names import slot
from tests.servers.postgres import Postgres
from tests.servers.process import Missing
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.valkey import Valkey
from tests.servers.valkeys import Cluster, Watched

T = TypeVar("T")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a running PostgreSQL server."""
    with open_folder() as folder:
        server = _had(lambda: Postgres(folder))
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


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """Return a running RabbitMQ node."""
    with open_folder() as folder:
        node = _had(lambda: RabbitMQ(folder))
        node.start()
        yield node
        node.stop()


@pytest.fixture(scope="session")
def watched() -> Iterator[Watched]:
    """Return a master and its replica, watched by three Sentinels."""
    with open_folder() as folder:
        servers = _had(lambda: Watched(folder))
        servers.start()
        yield servers
        servers.stop()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Return a cluster in which the master of the usual namespace has a replica."""
    with open_folder() as folder:
        servers = _had(lambda: Cluster(folder, slot("ropeway")))
        servers.start()
        yield servers
        servers.stop()


def _had(make: Callable[[], T]) -> T:
    try:
        return make()
    except Missing as missing:
        pytest.skip(str(missing))


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """Yield a folder that another user may enter, as that of a server that refuses root must be.

    It is not one of pytest's: every run of pytest shuts others out of those above its own.
    """
    with tempfile.TemporaryDirectory(prefix="ropeway-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder
