"""The place of a backend that is a file: it has no server that could be struck."""

from __future__ import annotations

from pathlib import Path

from chaos.places.smalldisk import SmallDisk
from chaos.witness import Witness
from chaos.witnesses.sqlite import SqliteWitness


class FilePlace:
    """A SQLite database in a folder, perhaps on a small disk of its own."""

    def __init__(self, data: Path, durability: str, disk: SmallDisk | None = None) -> None:
        self.url = f"sqlite:///{data / 'jobs.db'}"
        self.settings = {"durability": durability}
        self.struck = False
        self._disk = disk

    def start(self) -> None:
        """Nothing runs."""

    def end(self) -> None:
        """Nothing runs."""

    def freeze(self) -> list[int]:
        """Nothing runs."""
        return []

    def worker_url(self, number: int) -> str:
        """All have the same file."""
        return self.url

    def producer_url(self, number: int) -> str:
        """All have the same file."""
        return self.url

    def clock_offset(self, number: int) -> float:
        """Those who share a file share a clock."""
        return 0.0

    def witness(self, history: Path, lease: float) -> Witness:
        """It sees each transaction from inside."""
        return SqliteWitness(self.url)

    def fill_disk(self) -> bool:
        """Leave no free byte on the disk of the database; False if it has none of its own."""
        if self._disk is None:
            return False
        self._disk.fill()
        return True

    def free_disk(self) -> None:
        """Remove what filled the disk."""
        if self._disk is not None:
            self._disk.free()
