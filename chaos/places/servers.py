"""The place of a backend that is a server: behind a network that can be broken."""

from __future__ import annotations

import signal
from pathlib import Path

from chaos.places.database import Database, kill_all, signal_all
from chaos.proxy import Proxy
from chaos.witness import Witness
from chaos.witnesses.noted import NotedWitness

_WORKERS = 2
"""Lanes of the workers, who take them in turn; the last lane is that of producers."""

_HOURS = 2 * 3600.0


class ServerPlace:
    """A server of its own, with a lane to it for every second worker, and one for producers."""

    def __init__(self, database: Database, settings: dict[str, str]) -> None:
        self.database, self.settings = database, settings
        self.proxy = Proxy(database.port, _WORKERS + 1)
        self.struck = False

    @property
    def url(self) -> str:
        """How to reach it past all faults."""
        return self.database.url_at(self.database.port)

    def start(self) -> None:
        """Have it run, also again with what it has kept."""
        self.database.start()
        self.proxy.start()

    def end(self) -> None:
        """Kill it. May be called again."""
        kill_all(self.database.server)
        self.proxy.stop()

    def kill(self) -> None:
        """Kill it and all that it has started."""
        kill_all(self.database.server)

    def freeze(self) -> list[int]:
        """Stop it where it stands; returns the ids of its processes."""
        return signal_all(self.database.server, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        signal_all(self.database.server, signal.SIGCONT)

    def worker_url(self, number: int) -> str:
        """Every second worker has the same lane."""
        return self.database.url_at(self.proxy.port(number % _WORKERS))

    def producer_url(self, number: int) -> str:
        """The first has no proxy, and so is refused when the server is away."""
        return self.url if number == 0 else self.database.url_at(self.proxy.port(_WORKERS))

    def clock_offset(self, number: int) -> float:
        """Of three workers one is two hours slow, one right, and one two hours fast."""
        return (number % 3 - 1) * _HOURS

    def witness(self, history: Path, lease: float) -> Witness:
        """Nobody looks into the server: those who ask it write down what it says."""
        return NotedWitness(self.database, self.url, history, lease)

    def fill_disk(self) -> bool:
        """It has no disk of its own."""
        return False

    def free_disk(self) -> None:
        """It has no disk of its own."""
