"""The place of the embedded database: its folder, disk and file system."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from ropeway.cli.checks.check import Check

_MOUNTS = Path("/proc/self/mounts")
_NETWORK = re.compile(r"nfs\d?|cifs|smb\d?|smbfs|9p|ceph|afs|lustre|fuse\.(sshfs|glusterfs|s3fs)")
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
    try:
        mounts = _MOUNTS.read_text(errors="surrogateescape")
    except OSError:
        return Check("filesystem", "warn", "cannot be told on this system", "use a local disk")
    return judged_file_system(nearest_folder(path).resolve(), mounts)


def judged_file_system(folder: Path, mounts: str) -> Check:
    """Judge the mount that holds `folder`, from the text of /proc/self/mounts."""
    point, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        place = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[1])
        # Of mounts on the same place the last one is what is seen.
        if folder.is_relative_to(place) and len(place) >= len(point):
            point, kind = place, fields[2]
    fact = f"{kind or 'unknown'}, mounted on {point or '?'}"
    if _NETWORK.fullmatch(kind):
        remedy = "SQLite's locks do not hold over a network: use a disk of this machine"
        return Check("filesystem", "fail", fact, remedy)
    if kind in _GONE_AT_BOOT:
        remedy = "jobs here do not survive a reboot: use a disk to keep them"
        return Check("filesystem", "warn", fact, remedy)
    return Check("filesystem", "ok", fact)
