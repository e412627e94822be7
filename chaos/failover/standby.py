"""PostgreSQL with a standby that streams its log, promoted by hand."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from chaos.places.database import kill_all, let_in
from chaos.processes import until
from tests.servers.postgres import Postgres

_NAME = "chaos"


class StandbyPair:
    """Two clusters; the second is made from the first."""

    def __init__(self, data: Path, *, synchronous: bool) -> None:
        self._synchronous = synchronous
        self._folders = [data / "primary", data / "standby"]
        self._first, self._second = (Postgres(folder) for folder in self._folders)

    @property
    def url(self) -> str:
        """Both hosts, of which the one that takes writes is to be found."""
        first = self._first.url(_NAME)
        second = self._second.url(_NAME).partition("@")[2].partition("/")[0]
        return first.replace(f"/{_NAME}", f",{second}/{_NAME}")

    def start(self) -> None:
        """Start the first, copy it, and start the copy."""
        for folder in self._folders:
            folder.mkdir(parents=True)
            let_in(folder)
        self._first.start()
        self._first.create(_NAME)
        self._second.copy(self._first)
        self._second.start()
        until(lambda: bool(self._state()), "the standby follows", 30)
        if self._synchronous:
            self._first.sql("alter system set synchronous_standby_names = '*'")
            self._first.sql("select pg_reload_conf()")
            until(lambda: self._state() == "sync", "the standby is synchronous", 30)

    def separate(self) -> None:
        """Stop the process that sends the log."""
        os.kill(int(self._first.sql("select pid from pg_stat_replication")), signal.SIGSTOP)

    def kill(self) -> None:
        """Kill the first."""
        kill_all(self._first.server)

    def promote(self) -> None:
        """Promote the second."""
        self._second.sql("select pg_promote(true, 30)")

    def back(self) -> None:
        """It would need pg_rewind, and a person who decides that."""

    def end(self) -> None:
        """Kill both."""
        for each in (self._first, self._second):
            kill_all(each.server)

    def _state(self) -> str:
        return self._first.sql("select sync_state from pg_stat_replication where state='streaming'")
