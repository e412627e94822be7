"""Redis or Valkey with a replica, and three Sentinels that promote it."""

from __future__ import annotations

import signal
from pathlib import Path

from chaos.places.database import kill_all
from chaos.processes import until
from tests.servers.valkeys import Watched, said


class SentinelPair:
    """A master, its replica, and Sentinels; `synchronous`: a change counts when the replica has it."""

    def __init__(self, data: Path, *, synchronous: bool) -> None:
        self._watched = Watched(data / "watched")
        self._first, self._second = self._watched.nodes
        self._option = "?replicas=1" if synchronous else ""

    @property
    def url(self) -> str:
        """The Sentinels, who know the master."""
        return self._watched.url + self._option

    def start(self) -> None:
        """Start all, and wait until they know each other."""
        self._watched.start()

    def separate(self) -> None:
        """Stop the replica, and end the connection by which it hears of changes."""
        self._second.server.signal(signal.SIGSTOP)
        said(self._first.port, "CLIENT KILL TYPE replica")

    def kill(self) -> None:
        """Kill the master."""
        kill_all(self._first.server)

    def promote(self) -> None:
        """The Sentinels find out that the master is gone, and promote the replica."""
        self._second.server.signal(signal.SIGCONT)
        until(
            lambda: "role:master" in said(self._second.port, "INFO replication"),
            "the replica is promoted",
            60,
        )

    def back(self) -> None:
        """Start the old master; the Sentinels make it a replica, and what only it has is gone."""
        self._first.start()

    def end(self) -> None:
        """Kill all."""
        self._watched.stop()
