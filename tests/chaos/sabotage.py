"""A backend that lies in five ways, each to some of its jobs, and says which."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import apsw

from chaos.witness import Row, Sightings, Witness
from ropeway.connect import sqlite_path

SQL = Path(__file__).with_suffix(".sql")


class Sabotaged:
    """A witness that, when it is installed, installs the lies as well."""

    def __init__(self, witness: Witness, url: str) -> None:
        self._witness, self._path = witness, sqlite_path(url)

    def install(self) -> None:
        """Watch first, then lie."""
        self._witness.install()
        self._connection().execute(SQL.read_text())

    def sightings(self) -> Sightings:
        """See the witness."""
        return self._witness.sightings()

    def rows(self) -> list[Row]:
        """See the witness."""
        return self._witness.rows()

    def damage(self) -> str:
        """See the witness."""
        return self._witness.damage()

    def block(self) -> bool:
        """Block for the witness."""
        return self._witness.block()

    def unblock(self) -> None:
        """Unblock for the witness."""
        self._witness.unblock()

    def victims(self) -> dict[str, set[str]]:
        """The jobs that were lied about, by the invariant that the lie breaks."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for invariant, job_id in self._connection().execute("select * from sabotaged"):
            found[str(invariant)].add(str(job_id))
        return dict(found)

    def _connection(self) -> apsw.Connection:
        connection = apsw.Connection(str(self._path))
        connection.set_busy_timeout(10_000)
        return connection
