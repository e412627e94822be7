"""The folder of a run, written line by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from chaos.evidence import Dump, Evidence, Setup, load
from chaos.history import History
from chaos.profile import Profile
from chaos.witness import Sightings


class Recorded:
    """A run's folder, written line by line at times that the test names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "history").mkdir()
        self._history = History(folder / "history", "test")
        self._write("run.json", Setup(seed=1, backend="sqlite", profile=Profile(), faults=[]))
        self._write("final.json", Dump(public=[], raw=[]))
        self._write("witness.json", Sightings([], []))

    def log(self, at: int, type: Any, op: str, **fields: Any) -> None:
        """Add a line."""
        self._history.log(type, op, at=at, **fields)

    def evidence(self) -> Evidence:
        """Read it."""
        return load(self.folder)

    def _write(self, name: str, value: object) -> None:
        (self.folder / name).write_bytes(msgspec.json.encode(value))
