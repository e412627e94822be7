"""The witness for SQLite: triggers on the product's table, read by a connection of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import apsw
import msgspec

from chaos import history
from chaos.errors import HarnessError
from chaos.witness import Claimed, Row, Settled, Sightings
from ropeway.connect import Connection, sqlite_path
from ropeway.envelope import STATES
from ropeway.stepping import step

_SQL = Path(__file__).with_suffix(".sql")
_PATIENCE, _SOON = 60_000, 500
"""Milliseconds."""


class SqliteWitness:
    """Sees each claim and each settle in the transaction that makes it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._path = sqlite_path(url)
        self._blocking: apsw.Connection | None = None

    def install(self) -> None:
        """Have the product make its tables, and put triggers on them."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        backend = Connection(self._url).blocking()
        step(backend.open())
        step(backend.close())
        if self._query("select 1 from job limit 1"):
            raise HarnessError(f"{self._path} is in use already: give a database of its own")
        columns = {name for _, name, *_ in self._query("pragma table_info(job)")}
        lease = "old.lease_until" if "lease_until" in columns else "null"
        with self._open() as connection:
            connection.execute(_SQL.read_text().replace("{lease}", lease))

    def sightings(self) -> Sightings:
        """Read what the triggers wrote."""
        # The triggers know the date only. Leases are on the boot clock, as the history is.
        offset = time.time() - history.now() / 1e9
        claims: list[Claimed] = []
        settles: list[Settled] = []
        for row in self._query(
            "select kind, serial, t, id, attempt, holder, state, before_attempt, before_state,"
            " before_holder, before_lease, value from chaos_witness order by serial"
        ):
            kind, _, date = row[:3]
            boot = date - offset
            if kind == "claimed":
                claims.append(_claimed(row, boot))
            else:
                settles.append(_settled(row, boot))
        return Sightings(claims, settles)

    def rows(self) -> list[Row]:
        """Read the product's table."""
        found = self._query(
            "select id, state, attempt, failures, losses, releases, value from job order by id"
        )
        return [
            Row(
                id=job_id,
                state=STATES[state],
                attempt=attempt,
                failures=failures,
                losses=losses,
                releases=releases,
                value=_text(value),
            )
            for job_id, state, attempt, failures, losses, releases, value in found
        ]

    def damage(self) -> str:
        """Have SQLite check the whole file."""
        said = "; ".join(str(line) for (line,) in self._query("pragma integrity_check"))
        return "" if said == "ok" else said

    def block(self) -> bool:
        """Take the lock of the database itself, which knows nothing of a turn."""
        connection = apsw.Connection(str(self._path))
        connection.set_busy_timeout(_SOON)
        try:
            connection.execute("begin immediate")
        except apsw.BusyError:
            connection.close()
            return False
        self._blocking = connection
        return True

    def unblock(self) -> None:
        """Give the lock back."""
        if self._blocking is not None:
            self._blocking.execute("rollback")
            self._blocking.close()
            self._blocking = None

    def _query(self, statement: str) -> list[tuple[Any, ...]]:
        with self._open() as connection:
            return list(connection.execute(statement).fetchall())

    def _open(self) -> _Opened:
        return _Opened(self._path)


class _Opened:
    """A connection for one statement: kept open it would hold up checkpoints."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path))
        self._connection.set_busy_timeout(_PATIENCE)
        # The log stays as it is: after a power cut the product is to recover from it, not this.
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)

    def __enter__(self) -> apsw.Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _claimed(row: tuple[Any, ...], boot: float) -> Claimed:
    _, order, _, job_id, attempt, holder, _, before_attempt, before_state, *before, _ = row
    before_holder, lease = before
    return Claimed(
        order=order,
        t=int(boot * 1e9),
        id=job_id,
        attempt=attempt,
        holder=holder or "",
        before_attempt=before_attempt,
        before_state=STATES[before_state],
        before_holder=before_holder,
        lease_left=None if lease is None else lease - boot,
    )


def _settled(row: tuple[Any, ...], boot: float) -> Settled:
    _, order, _, job_id, attempt, holder, state, before_attempt, before_state, *_, value = row
    return Settled(
        order=order,
        t=int(boot * 1e9),
        id=job_id,
        attempt=attempt,
        holder=holder,
        state=STATES[state],
        before_state=STATES[before_state],
        before_attempt=before_attempt,
        value=_text(value),
    )


def _text(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        decoded = msgspec.json.decode(value)
    except msgspec.DecodeError:
        return f"undecodable: {value!r}"
    return decoded if isinstance(decoded, str) else repr(decoded)
