"""A worker as `ropeway dev` runs it: tried first, then started, then asked to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import msgspec

from ropeway.cli.checks.probe import MARK, Answer
from ropeway.connect import Connection
from ropeway.control import Workers
from ropeway.errors import RopewayError
from ropeway.operate.source import Source
from ropeway.stepping import step

GLANCE = 0.05
"""Seconds between two looks at a process that starts or ends."""


def probe(target: str, given_up: Callable[[], bool]) -> Answer | None:
    """Import the app in a process of its own; None if it fails, which that process has said.

    An import that does not end goes on until `given_up` says so.
    """
    command = [sys.executable, "-m", "ropeway.cli.checks.probe", target]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            start_new_session=True,
            env=_environment(),
        )
        try:
            while process.poll() is None and not given_up():
                time.sleep(GLANCE)
        finally:
            if process.poll() is None:
                process.kill()
            code = process.wait()
        said.seek(0)
        lines = said.read().decode(errors="replace").splitlines()
    found = [line.removeprefix(MARK) for line in lines if line.startswith(MARK)]
    return msgspec.json.decode(found[-1], type=Answer) if found and not code else None


_READY = ("consuming", "quiet")


class DevWorker:
    """A worker process of one version of the code."""

    def __init__(self, target: str, options: Sequence[str], url: str) -> None:
        module = "ropeway.cli.dev.started"
        command = [sys.executable, "-m", module, str(os.getpid()), "worker", target, *options]
        self.begun = time.monotonic()
        self._url = url
        # A session of its own: Ctrl-C is heard by `ropeway dev` alone, which then asks each once.
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, start_new_session=True, env=_environment()
        )
        self.pid = self._process.pid

    def consuming(self) -> bool:
        """Whether it takes jobs, as it says itself in the store."""
        backend = Connection(self._url).blocking()
        try:
            found = Workers(Source(backend)).ls()
        except RopewayError:
            return False  # the worker says what is wrong
        finally:
            step(backend.close())
        return any(each.pid == self.pid and each.state in _READY for each in found)

    def ended(self) -> int | None:
        """Return its exit code, or None while it runs."""
        return self._process.poll()

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal: SIGTERM to end when its jobs have, SIGQUIT to give them back."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end."""
        return self._process.wait()


def _environment() -> dict[str, str]:
    # The cache tells versions of a file apart by the second: two saves in one would be mixed up.
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
