"""Small disks of a test's own, to be filled."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, mebibytes: int = 64) -> Iterator[Path]:
    """Mount an empty file system of that size; skips the test where that is not allowed."""
    place.mkdir()
    options = f"size={mebibytes}m"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """Fill the disk, as another program would, but for `leave` bytes; returns the file to remove."""
    path = disk / "of-another-program"
    with path.open("wb", buffering=0) as file:
        while (free := free_bytes(disk) - leave) > 0:
            try:
                file.write(bytes(min(free, 1 << 20)))
            except OSError:  # a file system may keep a little for itself
                break
    return path


def free_bytes(disk: Path) -> int:
    """How much can still be written."""
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize
