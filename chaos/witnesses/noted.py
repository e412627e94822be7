"""The witness for a backend into which nobody looks: what the workers noted, and the last look."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from chaos import history
from chaos.errors import HarnessError
from chaos.public import Public
from chaos.witness import Row, Sightings
from chaos.witnesses.intervals import sightings


class Lockable(Protocol):
    """What a witness wants of a server."""

    def lock(self) -> bool:
        """Keep everybody from writing; False if that cannot be had soon."""
        ...

    def unlock(self) -> None:
        """Let them write again. May be called again."""
        ...

    def damage(self) -> str:
        """What is wrong with what it keeps; empty if nothing is."""
        ...


class NotedWitness:
    """Reads the notes in `folder`; `url` is a way to the server past all faults."""

    def __init__(self, database: Lockable, url: str, folder: Path, lease: float) -> None:
        self._database, self._url = database, url
        self._folder, self._lease = folder, lease

    def install(self) -> None:
        """Have the product make what it needs."""
        with Public(self._url) as public:
            public.open()
            if public.found():
                raise HarnessError(f"{self._url} is in use already")

    def sightings(self) -> Sightings:
        """Conclude from the notes what was done."""
        rows = {row.id: row for row in self.rows()}
        return sightings(history.read(self._folder), self._lease, rows)

    def rows(self) -> list[Row]:
        """Every job that was asked for and is there, and those that nobody asked for."""
        asked = {each.id for each in history.read(self._folder) if each.op == "send"}
        with Public(self._url) as public:
            return public.rows(sorted(asked | public.found()))

    def damage(self) -> str:
        """Have the server start again from what it keeps, and check that."""
        return self._database.damage()

    def block(self) -> bool:
        """Have the server do nothing that changes anything."""
        return self._database.lock()

    def unblock(self) -> None:
        """Have it work again."""
        self._database.unlock()
