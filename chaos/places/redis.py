"""Redis, or Valkey, to be struck."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from redis import Redis

from chaos.places.database import kill_all
from tests.servers.process import HOST, Server
from tests.servers.valkey import Valkey

_LONG = 3_600_000
"""Milliseconds."""


class RedisDatabase:
    """A server of its own. `synchronous` says whether a write is on the disk when it is answered."""

    def __init__(self, data: Path, *, synchronous: bool = True) -> None:
        fsync = "always" if synchronous else "everysec"
        # Nothing but the log is written by itself, which would take the only CPU for a moment.
        self._valkey = Valkey(data / "redis", appendfsync=fsync)

    @property
    def server(self) -> Server:
        """Its process."""
        return self._valkey.server

    @property
    def port(self) -> int:
        """Its own port."""
        return self._valkey.port

    def url_at(self, port: int) -> str:
        """How to reach it by a port."""
        return self._valkey.url.replace(f":{self.port}/", f":{port}/")

    def start(self) -> None:
        """Start it; it reads what it has kept."""
        self._valkey.start()

    def shut_down(self) -> None:
        """End it in order."""
        self._valkey.stop()

    def end_sessions(self) -> None:
        """End every connection of a client."""
        self._ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        self._ask("CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes")

    def hurt(self, draw: float) -> bool:
        """Forget every script."""
        self._ask("SCRIPT", "FLUSH")
        return True

    def recover(self) -> None:
        """Nothing is to be waited for."""

    def lock(self) -> bool:
        """Have it answer no write."""
        self._ask("CLIENT", "PAUSE", _LONG, "WRITE")
        return True

    def unlock(self) -> None:
        """Have it answer again."""
        self._ask("CLIENT", "UNPAUSE")

    def damage(self) -> str:
        """Start it again: it refuses what it cannot read, and must have the same number of keys."""
        before = self._lasting()
        kill_all(self.server)
        self.start()
        after = self._lasting()
        return "" if before == after else f"{before} keys before it was killed, {after} afterwards"

    def _lasting(self) -> int:
        """How many keys there are that do not go by themselves."""
        with Redis(host=HOST, port=self.port, socket_timeout=10) as client:
            counts = client.info("keyspace").get("db0", {"keys": 0, "expires": 0})
            return int(counts["keys"] - counts["expires"])

    def _ask(self, *command: Any) -> Any:
        with Redis(host=HOST, port=self.port, socket_timeout=10) as client:
            return client.execute_command(*command)
