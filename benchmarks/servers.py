"""The servers that contenders store in: started here, on ports of their own, from the wheels of the tests.

Redis is a server for each measurement, new and empty. PostgreSQL is one for the whole run, with a
database for each measurement, for a new cluster takes seconds.
"""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path
from typing import Protocol

from benchmarks.contender import POSTGRES, REDIS
from benchmarks.processes import Failed, cpu_seconds, descendants
from tests.servers.postgres import Postgres
from tests.servers.process import Missing
from tests.servers.valkey import Valkey, program

_numbers = itertools.count(1)
_FSYNC = "everysec"


class Serving(Protocol):
    """Something empty to store jobs in, used by one contender at a time."""

    url: str

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


def empty(kind: str, base: Path, folder: Path) -> Serving | None:
    """Return an empty server or database; None for a kind that needs no server."""
    try:
        if kind == REDIS:
            return _Redis(folder)
        return _Database(base) if kind == POSTGRES else None
    except Missing as missing:
        raise Failed(str(missing)) from None


def used_seconds() -> float:
    """The processor time of what outlives a measurement."""
    return _cpu(_Cluster.running.server.pid) if _Cluster.running else 0.0


def stop_all() -> None:
    """Stop what outlives a measurement."""
    if _Cluster.running:
        _Cluster.running.stop()
        _Cluster.running = None


def _cluster(base: Path) -> Postgres:
    if _Cluster.running is None:
        # The server is another user where this one is root, and must be able to enter.
        base.chmod(base.stat().st_mode | 0o011)
        _Cluster.running = Postgres(
            base / "postgres", shared_buffers="256MB", max_connections="200"
        )
        _Cluster.running.start()
    return _Cluster.running


def _cpu(pid: int) -> float:
    return cpu_seconds([pid, *descendants(pid)])
