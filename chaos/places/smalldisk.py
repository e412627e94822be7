"""A small disk for the database of a run, which another program can fill."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Self

from chaos.errors import HarnessError

_SIZE = "size=384m"


class SmallDisk:
    """A file system in memory, mounted at a folder; use it in a `with`. Needs root."""

    def __init__(self, mount: Path) -> None:
        self.mount = mount
        self._filler = mount / "of-another-program"

    def __enter__(self) -> Self:
        self.mount.mkdir(parents=True)
        _call("mount", "-t", "tmpfs", "-o", _SIZE, "tmpfs", str(self.mount))
        return self

    def __exit__(self, *_: object) -> None:
        _call("umount", "--lazy", str(self.mount))

    def fill(self) -> None:
        """Take all the space that is left, and what is given back meanwhile is for others."""
        with self._filler.open("wb", buffering=0) as file:
            block = bytes(1 << 20)
            while (free := self._free()) > 0:
                try:
                    file.write(block[:free])
                except OSError:  # a file system may keep a little for itself
                    return

    def free(self) -> None:
        """Give the space back. May be called again."""
        self._filler.unlink(missing_ok=True)

    def _free(self) -> int:
        found = os.statvfs(self.mount)
        return found.f_bavail * found.f_frsize


def _call(*command: str) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise HarnessError(f"{' '.join(command)}: {done.stderr.strip()}")
