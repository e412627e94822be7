"""The contract of a server that is struck, and what is the same for each kind of it."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Protocol

from chaos.processes import children_of, state, until
from tests.servers.process import Server


class Database(Protocol):
    """A server with one database in it; the strikes are those that only its own kind can have."""

    @property
    def server(self) -> Server:
        """Its process."""
        ...

    def url_at(self, port: int) -> str:
        """How to reach it by a port."""
        ...

    @property
    def port(self) -> int:
        """Its own port."""
        ...

    def start(self) -> None:
        """Start it, and wait until it answers."""
        ...

    def shut_down(self) -> None:
        """End it in the quickest way that it offers itself."""
        ...

    def end_sessions(self) -> None:
        """Have it end every connection, as an administrator can."""
        ...

    def hurt(self, draw: float) -> bool:
        """Do to it what its own kind suffers from; False if that is impossible now."""
        ...

    def recover(self) -> None:
        """Wait until it has recovered from that."""
        ...

    def lock(self) -> bool:
        """Keep everybody from writing; False if that cannot be had soon."""
        ...

    def unlock(self) -> None:
        """Let them write again. May be called again."""
        ...

    def damage(self) -> str:
        """What is wrong with what it keeps; empty if nothing is."""
        ...


def signal_all(server: Server, number: int) -> list[int]:
    """Signal a server and all that it has started, from the top; returns their ids."""
    if server.process is None or server.process.poll() is not None:
        return []
    # First the one that starts others, and then those that it has started by then.
    _send(server.pid, number)
    children = list(children_of(server.pid))
    for pid in children:
        _send(pid, number)
    return [server.pid, *children]


def kill_all(server: Server) -> None:
    """Kill a server and all that it has started. May be called again."""
    # Stopped it starts nobody, and what it has started is still to be found.
    pids = signal_all(server, signal.SIGSTOP)
    for pid in pids:
        _send(pid, signal.SIGKILL)
    server.kill()
    # While one of them is there its successor does not start.
    until(lambda: all(state(pid) in {"", "Z", "X"} for pid in pids), "the server is gone", 20)


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def let_in(folder: Path) -> None:
    """Let other users enter the folder and those above: a server may refuse to run as root."""
    for each in (folder, *folder.parents):
        mode = each.stat().st_mode
        if not mode & 0o001:
            each.chmod(mode | 0o011)
