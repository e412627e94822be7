"""What processes take of the machine's memory, as far as the system tells."""

from __future__ import annotations

import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def resident(pid: int, proc: Path = _PROC) -> int:
    """Return the bytes of memory that a process occupies now; 0 where that cannot be known."""
    try:
        return int((proc / str(pid) / "statm").read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def kills(proc: Path = _PROC, groups: Path = _GROUPS) -> int:
    """Return a number that grows when a process is ended for lack of memory, ours or others'."""
    return _field(_group(proc, groups), "oom_kill") + _field(proc / "vmstat", "oom_kill")


def _group(proc: Path, groups: Path) -> Path:
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            return groups / path.strip("/") / "memory.events"
        if "memory" in controllers.split(","):
            return groups / "memory" / path.strip("/") / "memory.oom_control"
    return groups / "memory.events"


def _field(path: Path, name: str) -> int:
    try:
        pairs = (line.split() for line in path.read_text().splitlines())
        return next((int(pair[1]) for pair in pairs if pair[:1] == [name]), 0)
    except (OSError, ValueError, IndexError):
        return 0
