"""The dashboard beside the worker of `ropeway dev`: it starts with the first worker, and ends with both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

_PATIENCE = 5.0


class DevDashboard:
    """A dashboard in a process of its own, which says its link when it is there."""

    def __init__(self, target: str, port: int, say: Callable[[str], None]) -> None:
        self._target, self._port, self._say = target, port, say
        self._process: subprocess.Popen[str] | None = None

    def start(self, url: str) -> None:
        """Serve the jobs at `url`, unless that is done already."""
        if self._process is not None:
            return
        words = ["dashboard", "--quiet", "--app", self._target, "--port", str(self._port)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ropeway.cli.dev.started", str(os.getpid()), *words],
            env={**os.environ, "ROPEWAY_URL": url},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that Ctrl-C is told to the worker first
        )
        threading.Thread(target=self._tell, args=(self._process,), daemon=True).start()

    def _tell(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        if link := process.stdout.readline().strip():
            self._say(f"dashboard {link}")
        elif process.wait() > 0:  # it has said why
            self._say("no dashboard: the worker goes on without it")

    def stop(self) -> None:
        """End it."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
