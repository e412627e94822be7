"""Processes that are started, measured and stopped, each by its own id."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_TICK = os.sysconf("SC_CLK_TCK")
_CPU_CLOCK = 2  # in the number of a process's clock: all its threads, also those that have ended
_running: list[Started] = []


class Failed(Exception):
    """Something that was started did not do what it was started for."""


class Started:
    """A process in a session of its own, with its descendants and the file that they print to."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        env: Mapping[str, str],
        stdout: int | None = None,
    ) -> None:
        self.log = folder / f"log-{len(list(folder.glob('log-*')))}"
        self.started_at = time.time()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                list(command),
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                start_new_session=True,
            )
        _running.append(self)

    @property
    def pid(self) -> int:
        return self.process.pid

    def tree(self) -> list[int]:
        """Its pid and those of all its descendants."""
        return [self.pid, *descendants(self.pid)]

    def alive(self) -> bool:
        return self.process.poll() is None

    def said(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self, patience: float = 10.0) -> None:
        """Ask it to end, then end it and whatever is left of its tree."""
        left = {pid: born for pid in self.tree() if (born := _born(pid))}
        if self.alive():
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
        if self.alive():
            self.process.kill()
            self.process.wait()
        for pid, born in left.items():
            if _born(pid) == born:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if self in _running:
            _running.remove(self)


@contextlib.contextmanager
def worker_of(app: str, folder: Path, *options: str, **variables: str) -> Iterator[Started]:
    """Run a worker of an app of this tree for the block; its log is in the folder."""
    command = [sys.executable, "-m", "ropeway", "worker", app, *options]
    paths = (str(_ROOT), str(_ROOT / "src"), os.environ.get("PYTHONPATH", ""))
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | variables
    started = Started(command, folder=folder, env=env)
    try:
        yield started
    finally:
        started.stop()


def stop_all() -> None:
    """Stop everything that is still running, at the end or when interrupted."""
    while _running:
        _running[-1].stop(patience=2.0)


def cpu_seconds(pids: Sequence[int]) -> float:
    """The processor time that these processes, and their children that have ended, have used."""
    return sum(_own_seconds(pid) + _reaped_seconds(pid) for pid in pids)


def cpu_each(pids: Sequence[int]) -> dict[int, float]:
    """The processor time of each."""
    return {pid: cpu_seconds([pid]) for pid in pids}


def written(pids: Sequence[int]) -> int:
    """The bytes that these processes have caused to be written to a disk."""
    return sum(_written(pid) for pid in pids)


def _written(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def _own_seconds(pid: int) -> float:
    # The kernel's clock of another process: nanoseconds, where /proc/PID/stat has hundredths.
    try:
        return time.clock_gettime((~pid << 3) | _CPU_CLOCK)
    except OSError:
        return _stat_seconds(pid, 11)


def _reaped_seconds(pid: int) -> float:
    return _stat_seconds(pid, 13)


def _stat_seconds(pid: int, first: int) -> float:
    fields = _stat(pid)
    return (int(fields[first]) + int(fields[first + 1])) / _TICK if fields else 0.0


def _born(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def descendants(pid: int) -> list[int]:
    """The pids of its children, their children, and so on."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, path.read_text().split()):
                found += [child, *descendants(child)]
    return found
