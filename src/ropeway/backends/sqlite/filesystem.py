"""What kind of file system holds a file, and whether SQLite's locks work there."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

_MOUNTS = Path("/proc/self/mounts")
_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|9p|ceph|afs|lustre|gfs2?|ocfs2|beegfs|gpfs|orangefs"
    r"|fuse\.(sshfs|glusterfs|s3fs|rclone|cephfs|juicefs|gcsfuse|goofys|blobfuse2?|moosefs|mfs)"
)
_OCTAL = re.compile(r"\\([0-7]{3})")


class FileSystem(Struct, frozen=True):
    """The file system that is mounted on `point`, as the kernel calls its `kind`."""

    kind: str
    point: str

    @property
    def over_network(self) -> bool:
        """Whether other machines may use it too: their locks and this one's do not meet."""
        return _NETWORK.fullmatch(self.kind) is not None


def file_system(path: Path) -> FileSystem | None:
    """Return what holds `path`, which need not exist; None where that cannot be told."""
    try:
        mounts = _MOUNTS.read_text(errors="surrogateescape")
    except OSError:
        return None
    return holder_of(path.resolve(), mounts)


def holder_of(path: Path, mounts: str) -> FileSystem | None:
    """Find the mount that holds `path` in the text of /proc/self/mounts."""
    best: FileSystem | None = None
    for line in mounts.splitlines():
        _, point, kind, *_ = (*line.split(), "", "", "")
        place = _OCTAL.sub(lambda found: chr(int(found[1], 8)), point)
        # Of mounts on the same place the last one is what is seen.
        if place and path.is_relative_to(place) and len(place) >= len(best.point if best else ""):
            best = FileSystem(kind, place)
    return best
