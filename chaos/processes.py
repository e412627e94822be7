"""Processes that are started, struck and ended, each by its own id."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import ropeway
from chaos.errors import HarnessError

ROOT = Path(__file__).resolve().parents[1]


class Started:
    """A process in a session of its own, and the file that it writes to."""

    def __init__(self, arguments: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
        self.log = log
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=log.parent,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended, or None while it runs."""
        return self._process.poll()

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.exit_code is None

    @property
    def children(self) -> list[int]:
        """The pids of its children that have not ended."""
        return [pid for pid in children_of(self.pid) if state(pid) not in {"", "Z", "X"}]

    def said(self) -> str:
        """All that it has written."""
        return self.log.read_text(errors="replace")

    def signal(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        if self.alive:
            self._process.send_signal(number)

    def wait(self, timeout: float) -> bool:
        """Wait for its end; False if it did not come."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        return not self.alive

    def kill(self) -> None:
        """End it and its children, however they are."""
        for pid in [self.pid, *self.children] if self.alive else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()


def environment(**changes: str) -> dict[str, str]:
    """The environment of what is started: this one, without settings made for other uses."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ROPEWAY_")}
    # The very ropeway that this process has imported, and the tasks of this folder.
    paths = [str(ROOT), str(Path(ropeway.__file__).parents[1])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), **changes}


def state(pid: int | str) -> str:
    """What /proc says that a process, or `PID/task/TID`, is doing: a letter, or nothing if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[0]


def until(done: Callable[[], bool], what: str, patience: float) -> None:
    """Wait until something is so, or raise `HarnessError`."""
    deadline = time.monotonic() + patience
    while not done():
        if time.monotonic() > deadline:
            raise HarnessError(f"{what}: not within {patience:.0f} s")
        time.sleep(0.02)


def children_of(pid: int) -> Iterator[int]:
    """The pids of the children of a process, ended ones that nobody has waited for included."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            yield from map(int, path.read_text().split())
