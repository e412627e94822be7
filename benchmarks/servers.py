"""The servers that contenders store in: started here, on ports of their own, from the wheels of the tests.

Redis is a server for each measurement, new and empty. PostgreSQL is one for the whole run, with a
database for each measurement, for a new cluster takes seconds. So is RabbitMQ, with a virtual host for
each, beside a Redis of its own for results.
"""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path
from typing import Protocol

from benchmarks.contender import POSTGRES, RABBITMQ, REDIS
from benchmarks.processes import Failed, cpu_seconds, descendants
from tests.servers.postgres import Postgres
from tests.servers.process import Missing
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.valkey import Valkey, program

_numbers = itertools.count(1)
_FSYNC = "everysec"


class Serving(Protocol):
    """Something empty to store jobs in, used by one contender at a time.

    `store` is where the results of a broker are kept, or empty.
    """

    url: str
    store: str

    def cpu_seconds(self) -> float:
        """The processor time that the server has used."""
        ...

    def words(self) -> str:
        """Which server it is, and how it stores."""
        ...

    def close(self) -> None:
        """Throw away what is in it."""
        ...


class _Redis:
    """As the peers' pages and Redis's own want it: a log, flushed every second."""

    store = ""

    def __init__(self, folder: Path) -> None:
        self._server = Valkey(folder / "redis", appendfsync=_FSYNC)
        self._server.start()
        self.url = self._server.url

    def cpu_seconds(self) -> float:
        return _cpu(self._server.server.pid)

    def words(self) -> str:
        command = [str(program()), "--version"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        version = said.partition("v=")[2].split()[0]
        return f"{said.split()[0]} {version}: appendonly yes, appendfsync {_FSYNC}"

    def close(self) -> None:
        self._server.stop()


class _Cluster:
    """The one of the run."""

    running: Postgres | None = None


class _Database:
    """As it comes, durable: fsync and synchronous_commit are on."""

    store = ""

    def __init__(self, base: Path) -> None:
        self._cluster = _cluster(base)
        self._name = f"bench_{next(_numbers)}"
        self.url = self._cluster.create(self._name)
        self._cluster.sql("checkpoint")  # what others have written is not written meanwhile

    def cpu_seconds(self) -> float:
        return _cpu(self._cluster.server.pid)

    def words(self) -> str:
        asked = ("server_version", "fsync", "synchronous_commit", "shared_buffers")
        version, *rest = (self._cluster.sql(f"show {name}") for name in asked)
        told = ", ".join(f"{name} {value}" for name, value in zip(asked[1:], rest, strict=True))
        return f"PostgreSQL {version}: {told}"

    def close(self) -> None:
        self._cluster.sql(f"drop database {self._name} with (force)")


class _Node:
    """The one of the run."""

    running: RabbitMQ | None = None


class _Broker:
    """A virtual host of a single node with one scheduler, and where its results are kept."""

    def __init__(self, base: Path, folder: Path) -> None:
        self._node = _node(base)
        self.url = self._node.fresh()
        self._redis = _Redis(folder)
        self.store = self._redis.url

    def cpu_seconds(self) -> float:
        return _cpu(self._node.server.pid) + self._redis.cpu_seconds()

    def words(self) -> str:
        return f"RabbitMQ {self._node.ctl('version').strip()}, one node; {self._redis.words()}"

    def close(self) -> None:
        self._redis.close()
        self._node.ctl("delete_vhost", self.url.rpartition("/")[2])


def empty(kind: str, base: Path, folder: Path) -> Serving | None:
    """Return an empty server or database; None for a kind that needs no server."""
    try:
        if kind == REDIS:
            return _Redis(folder)
        if kind == RABBITMQ:
            return _Broker(base, folder)
        return _Database(base) if kind == POSTGRES else None
    except Missing as missing:
        raise Failed(str(missing)) from None


def used_seconds() -> float:
    """The processor time of what outlives a measurement."""
    lasting = (_Cluster.running, _Node.running)
    return sum((_cpu(each.server.pid) for each in lasting if each), 0.0)


def stop_all() -> None:
    """Stop what outlives a measurement."""
    if _Cluster.running:
        _Cluster.running.stop()
        _Cluster.running = None
    if _Node.running:
        _Node.running.stop()
        _Node.running = None


def _cluster(base: Path) -> Postgres:
    if _Cluster.running is None:
        # The server is another user where this one is root, and must be able to enter.
        base.chmod(base.stat().st_mode | 0o011)
        _Cluster.running = Postgres(
            base / "postgres", shared_buffers="256MB", max_connections="200"
        )
        _Cluster.running.start()
    return _Cluster.running


def _node(base: Path) -> RabbitMQ:
    if _Node.running is None:
        _Node.running = RabbitMQ(base / "rabbitmq")
        _Node.running.start()
    return _Node.running


def _cpu(pid: int) -> float:
    return cpu_seconds([pid, *descendants(pid)])
