"""What every server here has in common: a folder, a port, a process, and its end."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

HOST = "127.0.0.1"
_PATIENCE = 60.0
_PORTS = range(10_000, 32_000)

_running: set[int] = set()
_given: set[int] = set()


def running() -> frozenset[int]:
    """The ids of the servers that run now: they stay from one test to the next."""
    return frozenset(_running)


class Missing(Exception):
    """The programs of a server cannot be had here; the text says why."""


class Server:
    """One process; its words are in `log`. Stopped and continued, killed and started again at will."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        user: int | None = None,
        stop: int = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.command, self.folder, self.user = list(command), folder, user
        self._environment = {**plain(), **(environment or {})}
        self.log = folder / "log"
        self._stop_signal = stop
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], bool]) -> None:
        """Start it, and wait until it is ready."""
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
            )
        _running.add(self.pid)
        deadline = time.monotonic() + _PATIENCE
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = self.log.read_text(errors="replace")[-2000:]
                self.kill()
                raise RuntimeError(f"{self.command[0]} does not start:\n{said}")
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        """Its process id; it must have been started."""
        assert self.process is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        """Send it, and all that it has started, a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def stop(self) -> None:
        """Ask it to end, and see that it does. May be called again."""
        if self.process is None or self.process.poll() is not None:
            return
        self.signal(signal.SIGCONT)
        self.process.send_signal(self._stop_signal)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        _running.discard(self.pid)

    def kill(self) -> None:
        """End it as a power cut would. May be called again."""
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGKILL)
            self.process.wait()
            _running.discard(self.pid)


def plain() -> dict[str, str]:
    """An environment for a server: nothing of this process's own settings."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now.

    It is below those that are given to whoever connects, from true chance (tests reseed the other
    kind) and given only once here, so that nobody has it a moment later, when a server wants it.
    """
    while True:
        port = secrets.choice(_PORTS)
        if port in _given:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            _given.add(port)
            return port


def listens(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0
