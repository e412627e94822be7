"""What the figures depend on: processor, disk and versions of the machine at hand."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

_VOLATILE = {"tmpfs", "ramfs", "devtmpfs"}


class Unusable(Exception):
    """Nothing worth knowing can be measured here."""


def calibrate() -> float:
    """Run a loop of pure Python, the best of three: millions of rounds a second."""
    best = 0.0
    rounds = 300_000
    for _ in range(3):
        start, total = time.perf_counter(), 0
        for number in range(rounds):
            total += number & 3
        best = max(best, rounds / (time.perf_counter() - start))
    return best / 1e6


class Bystanders:
    """How much processor time other programs use meanwhile: what makes figures doubtful.

    `ours` tells the processor time of what we have started and that goes on.
    """

    def __init__(self, ours: Callable[[], float]) -> None:
        self._ours = ours
        self._start, self._others = time.monotonic(), self._seconds()

    def percent(self) -> float:
        """Per cent of a core since this was made; everything else that we started must have ended."""
        used = self._seconds() - self._others
        return max(0.0, used) / (time.monotonic() - self._start) * 100

    def _seconds(self) -> float:
        line = Path("/proc/stat").read_text().splitlines()[0]
        user, nice, system, _, _, interrupts, soft, *_ = map(int, line.split()[1:])
        everyone = (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")
        mine = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return everyone - sum(usage.ru_utime + usage.ru_stime for usage in mine) - self._ours()


def file_system(folder: Path) -> str:
    """The type of the file system that holds `folder`; raises `Unusable` for one in memory."""
    kind = kind_of_mount(folder.resolve(), Path("/proc/mounts").read_text())
    if kind in _VOLATILE:
        raise Unusable(
            f"{folder} is on {kind}, which is memory: a commit there costs nothing. "
            "Name a folder on a disk with --dir."
        )
    return kind


def kind_of_mount(folder: Path, mounts: str) -> str:
    """Find the deepest mount at or above `folder` in the text of /proc/mounts."""
    best, kind = -1, "unknown"
    for line in mounts.splitlines():
        _, point, found, *_ = line.split()
        mount = Path(point.replace("\\040", " "))
        depth = len(mount.parts)
        # Of two mounts at one place the later one is seen.
        if depth >= best and folder.is_relative_to(mount):
            best, kind = depth, found
    return kind


def sync_ms(folder: Path, *, pause: float = 0.0, count: int = 200) -> float:
    """The median of some appends of 4 KiB, each made durable, in milliseconds.

    A disk, and a processor, that has just done nothing for a moment takes longer.
    """
    path, block = folder / "sync", b"x" * 4096
    took: list[float] = []
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        for _ in range(count):
            time.sleep(pause)
            os.write(descriptor, block)
            start = time.perf_counter()
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - start)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(took) * 1000


def describe(folder: Path) -> dict[str, str | float | int]:
    """Everything that belongs beside the figures."""
    load, _, _ = os.getloadavg()
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "cores": os.cpu_count() or 1,
        "load": round(load, 2),
        "file_system": file_system(folder),
        "sync_ms": round(sync_ms(folder), 3),
        "sync_paused_ms": round(sync_ms(folder, pause=0.015, count=100), 3),
        "loop_mops": round(calibrate(), 1),
    }
