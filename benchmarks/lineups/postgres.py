"""Who is measured on PostgreSQL, each in the quick configuration that its own pages recommend.

Only SAQ keeps results there at all, and in drains it is asked not to. `share` is of our number of
tasks, by what each drained in a trial.
"""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from benchmarks.contender import HERE, POSTGRES, Contender
from benchmarks.environment import environment
from benchmarks.lineups.served import EVERY, PROCESSES, peer
from benchmarks.several import command as several

_NO_RESULTS = EVERY - {"latency"}


def gylo(venvs: Path) -> list[Contender]:
    """256 at once in each process, taken by 128: its defaults."""
    tools = environment(venvs / "postgres-gylo", "--pre", "asyncpg", "uvloop", "gylo") / "bin"
    where = ("--app", "benchmarks.apps.gylo_app:app", "--processes", str(PROCESSES))
    worker = ("gylo", "worker", "--database-url", HERE, *where)
    plain = peer(POSTGRES, tools, "gylo", "gylo_app", worker, 0.4, prepared=True)
    return [replace(plain, scenarios=_NO_RESULTS | {"backlog"})]


def pgqueuer(venvs: Path) -> list[Contender]:
    """Two processes that take 100 at once."""
    # Its command does not start with typer 0.29.
    packages = ("typer==0.20.0", "click<8.2", "uvloop", "pgqueuer[asyncpg]")
    tools = environment(venvs / "postgres-pgqueuer", *packages) / "bin"
    worker = ("pgq", "run", "benchmarks.apps.pgqueuer_app:main", "--batch-size", "100")
    plain = peer(POSTGRES, tools, "pgqueuer", "pgqueuer_app", worker, 0.4, prepared=True)
    return [
        replace(
            plain,
            worker=several(PROCESSES, *plain.worker, "--log-level", "WARNING"),
            scenarios=_NO_RESULTS | {"backlog"},
        )
    ]


def procrastinate(venvs: Path) -> list[Contender]:
    """Two processes with 100 at once each, which delete what has succeeded."""
    tools = (
        environment(venvs / "postgres-procrastinate", "psycopg[binary]", "procrastinate") / "bin"
    )
    where = ("-a", "benchmarks.apps.procrastinate_app.app", "--log-level", "warning")
    worker = ("procrastinate", *where, "worker", "-c", "100", "--delete-jobs", "successful")
    name, module = "Procrastinate", "procrastinate_app"
    plain = peer(POSTGRES, tools, name, module, worker, 0.02, prepared=True)
    return [replace(plain, worker=several(PROCESSES, *plain.worker), scenarios=_NO_RESULTS)]


def saq(venvs: Path) -> list[Contender]:
    """20 at once in each process, as on Redis."""
    packages = ("psycopg[binary]", "uvloop", "saq[postgres]")
    tools = environment(venvs / "postgres-saq", *packages) / "bin"
    worker = ("saq", "benchmarks.apps.saq_app.settings", "--workers", str(PROCESSES), "--quiet")
    return [peer(POSTGRES, tools, "SAQ", "saq_app", worker, 0.02)]


PEERS = (gylo, pgqueuer, procrastinate, saq)
