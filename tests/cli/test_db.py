"""`ropeway db`: the tables in PostgreSQL, for people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ropeway.backends.postgres import migrations
from ropeway.backends.postgres.migrations import Step
from tests.cli.support import call
from tests.servers.postgres import Postgres


def test_status_before_and_after(here: Path, postgres_url: str) -> None:
    """Looking makes nothing; migrating makes the tables, once."""
    found = call("db", "status", "--url", postgres_url, "--json")
    assert json.loads(found.stdout)["state"] == "missing"
    assert call("db", "status", "--url", postgres_url).stdout == "ropeway\tmissing\t0\t1\n"
    assert call("db", "migrate", "--url", postgres_url, "--dry-run").stdout == "1\n"
    assert call("db", "migrate", "--url", postgres_url).stdout == "1\n"
    assert call("db", "status", "--url", postgres_url).stdout == "ropeway\tcurrent\t1\t1\n"
    assert call("db", "migrate", "--url", postgres_url).stdout == ""


def test_sql_is_what_migrate_does(here: Path, postgres: Postgres, postgres_url: str) -> None:
    """Run by hand it makes the same tables, in the schema that the URL names."""
    url = postgres_url + "?schema=jobs"
    script = call("db", "sql", "--url", url).stdout
    assert script == call("db", "sql", "--url", url, "--all").stdout
    postgres.sql(script, postgres_url.rpartition("/")[2])
    assert call("db", "status", "--url", url).stdout == "jobs\tcurrent\t1\t1\n"


def test_an_older_schema_is_not_touched_before_somebody_says_so(
    here: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who opens it is refused, with what to type."""
    call("db", "migrate", "--url", postgres_url)
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, Step(2, 2, ("empty.sql",))))
    (tmp_path / "empty.sql").write_text("create table more (n int);")
    monkeypatch.setattr(migrations, "_FOLDER", tmp_path)
    status = call("db", "status", "--url", postgres_url)
    assert (status.exit_code, status.stdout) == (1, "ropeway\tbehind\t1\t2\n")
    refused = call("queues", "ls", "--url", postgres_url)
    assert refused.exit_code == 7
    assert "ropeway db migrate" in refused.stderr
    assert call("db", "migrate", "--url", postgres_url).exit_code == 3
    assert call("db", "migrate", "--url", postgres_url, "--yes").stdout == "2\n"
    assert call("queues", "ls", "--url", postgres_url).exit_code == 0


def test_a_schema_that_needs_a_newer_ropeway_is_refused(
    here: Path, postgres: Postgres, postgres_url: str
) -> None:
    """One that is newer and says that this one can go on is not."""
    call("db", "migrate", "--url", postgres_url)
    database = postgres_url.rpartition("/")[2]
    postgres.sql("update ropeway.meta set value = '9' where key = 'schema'", database)
    assert call("db", "status", "--url", postgres_url).stdout == "ropeway\tnewer\t9\t1\n"
    assert call("queues", "ls", "--url", postgres_url).exit_code == 0
    postgres.sql("update ropeway.meta set value = '9' where key = 'needs'", database)
    assert call("db", "status", "--url", postgres_url).exit_code == 1
    refused = call("queues", "ls", "--url", postgres_url)
    assert refused.exit_code == 7
    assert "needs a newer ropeway" in refused.stderr


def test_another_programs_schema_is_refused(
    here: Path, postgres: Postgres, postgres_url: str
) -> None:
    """And nothing is made in it."""
    postgres.sql("create table public.job (n int)", postgres_url.rpartition("/")[2])
    refused = call("db", "migrate", "--url", postgres_url + "?schema=public")
    assert refused.exit_code == 7
    assert "belongs to another program" in refused.stderr


def test_other_backends_need_none_of_it(here: Path) -> None:
    """They are told so."""
    assert "RW-210" in call("db", "status").stderr
