"""The place of the embedded database: its folder, disk and file system."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ropeway.cli.checks.check import Check

if TYPE_CHECKING:
    from ropeway.backends.sqlite.filesystem import FileSystem

_GONE_AT_BOOT = ("tmpfs", "ramfs")
_SCARCE, _TOO_LITTLE = 512 * 2**20, 32 * 2**20


def nearest_folder(path: Path) -> Path:
    """The folder of the file, or the nearest above it that exists."""
    return next(folder for folder in path.absolute().parents if folder.is_dir())


def writable(path: Path) -> Check:
    """Whether the database and its companions can be written here."""
    folder = nearest_folder(path)
    where = f"{folder}" if folder == path.parent else f"{folder}, where {path.parent} will be made"
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check("folder", "fail", f"cannot write in {where}", "change its owner or its mode")
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return Check("folder", "fail", f"cannot write {path}", "change its owner or its mode")
    return Check("folder", "ok", f"can write in {where}")


def free_space(path: Path) -> Check:
    """How much room is left on the disk."""
    return judged_space(shutil.disk_usage(nearest_folder(path)).free)


def judged_space(free: int) -> Check:
    """Judge the free bytes of a disk."""
    fact = f"{free / 2**30:,.1f} GiB free" if free >= 2**30 else f"{free / 2**20:,.0f} MiB free"
    if free < _SCARCE:
        remedy = "free some: when the disk is full nothing can be sent or settled"
        return Check("space", "fail" if free < _TOO_LITTLE else "warn", fact, remedy)
    return Check("space", "ok", fact)


def file_system(path: Path) -> Check:
    """What kind of file system holds the database."""
    from ropeway.backends.sqlite import filesystem

    return judged_file_system(filesystem.file_system(nearest_folder(path)))


def judged_file_system(found: FileSystem | None) -> Check:
    """Judge what holds the database."""
    if found is None:
        return Check("filesystem", "warn", "cannot be told on this system", "use a local disk")
    fact = f"{found.kind}, mounted on {found.point}"
    if found.over_network:
        remedy = "SQLite's locks do not hold over a network: use a disk of this machine"
        return Check("filesystem", "fail", fact, remedy)
    if found.kind in _GONE_AT_BOOT:
        remedy = "jobs here do not survive a reboot: use a disk to keep them"
        return Check("filesystem", "warn", fact, remedy)
    return Check("filesystem", "ok", fact)
