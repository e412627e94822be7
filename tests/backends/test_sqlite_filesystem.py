"""Where a database may lie: not where locks do not hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from ropeway.backends.sqlite import Database, filesystem
from ropeway.backends.sqlite.filesystem import holder_of
from ropeway.errors import BackendUnavailable

MOUNTS = """\
/dev/vda / ext4 rw 0 0
server:/home /mnt/home nfs4 rw 0 0
//server/share /mnt/a\\040share cifs rw 0 0
/dev/vdb /mnt/home/local xfs rw 0 0
user@host:/ /mnt/ssh fuse.sshfs rw 0 0
tmpfs /mnt/ssh/memory tmpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind", "refused"),
    [
        ("/srv/jobs.db", "ext4", False),
        ("/mnt/home/jobs.db", "nfs4", True),
        ("/mnt/homes/jobs.db", "ext4", False),
        ("/mnt/a share/deep/jobs.db", "cifs", True),
        ("/mnt/home/local/jobs.db", "xfs", False),
        ("/mnt/ssh/jobs.db", "fuse.sshfs", True),
        ("/mnt/ssh/memory/jobs.db", "tmpfs", False),
    ],
)
def test_the_mount_that_holds_a_file(path: str, kind: str, refused: bool) -> None:
    """The innermost mount counts, by whole names, with its escapes undone."""
    found = holder_of(Path(path), MOUNTS)
    assert found is not None
    assert (found.kind, found.over_network) == (kind, refused)


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that other machines could open too is neither made nor opened."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {tmp_path} nfs rw 0 0\n")
    monkeypatch.setattr(filesystem, "_MOUNTS", mounts)
    path = tmp_path / "folder" / "jobs.db"
    with pytest.raises(BackendUnavailable, match="network file system") as caught:
        Database(path).open()
    assert "use a disk of this machine" in str(caught.value)
    assert not path.parent.exists()
