"""PostgreSQL to be struck."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from chaos.errors import HarnessError
from chaos.places.database import kill_all, let_in
from chaos.processes import until
from tests.servers.postgres import Postgres, programs
from tests.servers.process import Server, plain

_NAME = "chaos"
_LOCKER = "chaos-lock"
_SOON = 2.0
_SESSIONS = (
    f"from pg_stat_activity where datname = '{_NAME}' and pid <> pg_backend_pid()"
    f" and application_name <> '{_LOCKER}'"
)
_LOCK = f"""
    set application_name = '{_LOCKER}';
    set lock_timeout = '500ms';
    begin;
    do $$ declare found record; begin
        for found in select schemaname, tablename from pg_tables
            where schemaname not in ('pg_catalog', 'information_schema') order by 1, 2
        loop
            execute format('lock table %I.%I in exclusive mode', found.schemaname, found.tablename);
        end loop;
    end $$;
    select pg_sleep(3600);
"""


class PostgresDatabase:
    """A cluster of its own, set as it comes: a commit is on the disk when it returns."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "postgres"
        self._postgres = Postgres(self._folder)
        self._locker: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> Server:
        """Its process."""
        return self._postgres.server

    @property
    def port(self) -> int:
        """Its own port."""
        return self._postgres.port

    def url_at(self, port: int) -> str:
        """How to reach it by a port."""
        return self._postgres.url(_NAME).replace(f":{self.port}/", f":{port}/")

    def start(self) -> None:
        """Start it; the first time, make the database."""
        new = not self._folder.exists()
        self._folder.mkdir(parents=True, exist_ok=True)
        let_in(self._folder)
        self._postgres.start()
        if new:
            self._postgres.create(_NAME)

    def shut_down(self) -> None:
        """End it as `pg_ctl stop -m immediate` does: it will have to recover."""
        os.kill(self.server.pid, signal.SIGQUIT)
        until(self._ended, "the server shuts down", 20)

    def end_sessions(self) -> None:
        """Terminate every backend process."""
        self.sql(f"select count(pg_terminate_backend(pid)) {_SESSIONS}")

    def hurt(self, draw: float) -> bool:
        """Kill one backend process: all others end as well, and the server recovers."""
        pids = self.sql(f"select pid {_SESSIONS} and backend_type = 'client backend'").split()
        if not pids:
            return False
        os.kill(int(pids[int(draw * len(pids))]), signal.SIGKILL)
        return True

    def recover(self) -> None:
        """Wait until it takes connections."""
        until(self._postgres.answers, "the server recovers", 60)

    def lock(self) -> bool:
        """Lock every table, as a migration or a person might."""
        command = [str(programs() / "psql"), "-qAt", "-d", self.url_at(self.port), "-c", _LOCK]
        sink = subprocess.DEVNULL
        self._locker = subprocess.Popen(command, env=plain(), stdout=sink, stderr=sink)
        try:
            until(lambda: self._holds() or self._locker_ended(), "the lock", _SOON)
        except HarnessError:
            self.unlock()
            return False
        return not self._locker_ended()

    def unlock(self) -> None:
        """End the session that has the locks."""
        if self._locker is None:
            return
        self._locker.kill()
        self._locker.wait()
        self._locker = None
        self.sql(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            f" where application_name = '{_LOCKER}'"
        )

    def damage(self) -> str:
        """Start it again, and have `pg_amcheck` compare each index with its table."""
        kill_all(self.server)
        self.start()
        url = urlsplit(self.url_at(self.port))
        arguments = ["-h", str(url.hostname), "-p", str(url.port), "-U", str(url.username)]
        arguments += ["--install-missing", "--heapallindexed", "-d", _NAME]
        done = subprocess.run(
            [str(programs() / "pg_amcheck"), *arguments],
            env=plain(),
            capture_output=True,
            text=True,
            check=False,
        )
        return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()

    def _holds(self) -> bool:
        return bool(
            self.sql(
                "select 1 from pg_stat_activity"
                f" where application_name = '{_LOCKER}' and wait_event = 'PgSleep'"
            )
        )

    def _locker_ended(self) -> bool:
        return self._locker is None or self._locker.poll() is not None

    def _ended(self) -> bool:
        return self.server.process is None or self.server.process.poll() is not None

    def sql(self, statement: str) -> str:
        """Run a statement, as an administrator would; returns what it says."""
        return self._postgres.sql(statement, _NAME)
