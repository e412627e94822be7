"""A disk whose power can be cut: a file system in a file, which is copied as the disk would hold it.

What was written and not flushed is in the page cache above the file, so it is not in the copy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from chaos.errors import HarnessError

_SIZE = 768 * 2**20
"""Bytes, of which only those that are written take any memory."""

_MEMORY = Path("/dev/shm")
# The kernel's own time for writing its journal is put off: what the copy holds was asked for.
_OPTIONS = "loop,commit=300"
_PATIENCE = 20.0


class Disk:
    """A mounted disk; use it in a `with`: nothing of it stays, however that ends."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="chaos-disk-", dir=_MEMORY))
        self._image, self._copy = self._folder / "disk", self._folder / "disk-after-the-cut"
        self.mount = self._folder / "mount"

    def __enter__(self) -> Self:
        try:
            self.mount.mkdir()
            with self._image.open("wb") as file:
                file.truncate(_SIZE)
            _call("mkfs.ext4", "-q", "-F", str(self._image))
            self._mount(self._image)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.unmount()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def cut(self) -> None:
        """Keep what the disk holds at this moment."""
        _call("cp", "--sparse=always", str(self._image), str(self._copy))

    def replace(self) -> None:
        """Mount what was kept, at the same place; nobody may have a file open there."""
        self.unmount()
        self._image.unlink()
        self._mount(self._copy)

    def unmount(self) -> None:
        """Unmount, as soon as the last of those that were killed is gone."""
        deadline = time.monotonic() + _PATIENCE
        while os.path.ismount(self.mount):
            try:
                _call("umount", str(self.mount))
            except HarnessError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _mount(self, image: Path) -> None:
        _call("mount", "-o", _OPTIONS, str(image), str(self.mount))


def refuse_where_impossible() -> None:
    """Raise `HarnessError` where no disk can be made."""
    if os.geteuid() != 0:
        raise HarnessError("power cuts need root: they mount a file system")
    missing = [tool for tool in ("mkfs.ext4", "mount", "umount", "cp") if not shutil.which(tool)]
    missing += [str(path) for path in (_MEMORY, Path("/dev/loop-control")) if not path.exists()]
    if missing:
        raise HarnessError(f"power cuts need {', '.join(missing)}, not found here")


def _call(*command: str) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise HarnessError(f"{' '.join(command)}: {done.stderr.strip()}")
