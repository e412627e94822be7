"""Which of a project's files have changed since the last look, by looking."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

LOOK_EVERY = 0.3
"""Seconds between two looks; more where one takes so long that it would be felt."""

_SHARE = 20.0
"""A look may take one part in so many of the time."""

_SKIPPED = frozenset(
    {"__pycache__", "node_modules", "site-packages", "build", "dist", "venv", "env"}
)
_FILES = (".py", ".toml")

Stamp = tuple[int, int, int]


class Watch:
    """The Python and TOML files below some folders; hidden ones and environments are skipped."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = [folder.absolute() for folder in folders]
        self.pause = LOOK_EVERY
        self._seen = self._look()

    def changed(self) -> list[Path]:
        """Return the files that are new, gone or changed since the last look."""
        found = self._look()
        if found == self._seen:
            return []
        before, self._seen = self._seen, found
        names = {path for path, _ in before.items() ^ found.items()}
        return sorted(map(Path, names))

    def _look(self) -> dict[str, Stamp]:
        begun = time.monotonic()
        found = {path: stamp for folder in self._folders for path, stamp in _files(str(folder))}
        self.pause = max(LOOK_EVERY, _SHARE * (time.monotonic() - begun))
        return found


def _files(folder: str) -> Iterator[tuple[str, Stamp]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:  # removed meanwhile, or not ours to see
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _SKIPPED:
            continue
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            elif entry.name.endswith(_FILES):
                known = entry.stat()
                yield entry.path, (known.st_mtime_ns, known.st_size, known.st_ino)
        except OSError:
            continue
